import fc from 'fast-check';
import { expectAllClose, GARBAGE, TOLERANCE, withGarbage } from '../spec-support';
import { maskedMoments } from './moments';
import { whiten, whitenKeepingMean } from './whitening';

const batch = fc
  .array(fc.record({ value: fc.integer({ min: -1000, max: 1000 }), real: fc.boolean() }), {
    minLength: 3,
    maxLength: 60,
  })
  .map((cells) => ({ values: cells.map(({ value }) => value / 8), mask: cells.map(({ real }) => (real ? 1 : 0)) }))
  .filter(({ values, mask }) => new Set(values.filter((_, i) => mask[i] > 0)).size > 1);

describe('whitening', () => {
  it('gives the hand-worked values', () => {
    // Real values 1, 3, 5: mean 3, biased variance (4 + 0 + 4) / 3 = 8/3, deviation 1.632993.
    // (1 − 3) / 1.632993 = −1.224745. The unbiased variance 4 would give −1.
    const input = { values: [1, 3, 77, 5], mask: [1, 1, 0, 1] };
    expectAllClose(whiten(input), [-1.224744871, 0, 0, 1.224744871], TOLERANCE.storedFloat);
    expectAllClose(whitenKeepingMean(input), [1.775255129, 3, 0, 4.224744871], TOLERANCE.storedFloat);
  });

  it('puts ε = 1e-8 inside the root', () => {
    // Values ±1e-4: variance 1e-8, so ±1e-4 / √(2e-8) = ±1/√2.
    expectAllClose(
      whiten({ values: [1e-4, -1e-4], mask: [1, 1] }),
      [Math.SQRT1_2, -Math.SQRT1_2],
      TOLERANCE.storedFloat,
    );
  });

  it('leaves mean 0 and variance 1, or the old mean and variance 1', () => {
    fc.assert(
      fc.property(batch, ({ values, mask }) => {
        const before = maskedMoments({ values, mask });
        const centred = maskedMoments({ values: whiten({ values, mask }), mask });
        const kept = maskedMoments({ values: whitenKeepingMean({ values, mask }), mask });
        // ε shifts the variance by ε / variance; the smallest variance here is (1/8)² · 59/60² = 2.6e-4.
        expectAllClose([centred.mean, centred.variance], [0, 1], 5e-5);
        expectAllClose([kept.mean, kept.variance], [before.mean, 1], 5e-5);
      }),
    );
  });

  it('turns a constant batch into 0, or leaves it', () => {
    expect([...whiten({ values: [2, 2], mask: [1, 1] })]).toEqual([0, 0]);
    expect([...whitenKeepingMean({ values: [2, 2], mask: [1, 1] })]).toEqual([2, 2]);
  });

  it.each(GARBAGE)('does not read a masked %p', (garbage) => {
    const mask = [1, 0, 1, 0];
    const values = withGarbage([1, 0, 3, 0], mask, garbage);
    expectAllClose(whiten({ values, mask }), [-1, 0, 1, 0], TOLERANCE.storedFloat);
    expectAllClose(whitenKeepingMean({ values, mask }), [1, 0, 3, 0], TOLERANCE.storedFloat);
  });
});
