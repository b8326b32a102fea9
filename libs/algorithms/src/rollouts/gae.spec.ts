import fc from 'fast-check';
import { expectAllClose, GARBAGE, TOLERANCE, withGarbage } from '../spec-support';
import { generalisedAdvantages } from './gae';

/** One row of real tokens at a random place of a wider grid. */
const row = fc
  .record({
    before: fc.integer({ min: 0, max: 3 }),
    after: fc.integer({ min: 0, max: 3 }),
    tokens: fc.array(
      fc.record({ reward: fc.integer({ min: -64, max: 64 }), value: fc.integer({ min: -64, max: 64 }) }),
      { minLength: 1, maxLength: 12 },
    ),
  })
  .map(({ before, after, tokens }) => {
    const pad = (values: number[], fill: number): number[] => [
      ...Array<number>(before).fill(fill),
      ...values,
      ...Array<number>(after).fill(fill),
    ];
    const rewards = tokens.map(({ reward }) => reward / 16);
    const values = tokens.map(({ value }) => value / 16);
    const grid = {
      rewards: pad(rewards, 7),
      values: pad(values, -7),
      mask: pad(
        tokens.map(() => 1),
        0,
      ),
      rows: 1,
    };
    return { rewards, values, grid, real: (flat: Float32Array) => [...flat.subarray(before, before + tokens.length)] };
  });
const rates = { gamma: fc.double({ min: 0, max: 1, noNaN: true }), lambda: fc.double({ min: 0, max: 1, noNaN: true }) };

describe('generalisedAdvantages', () => {
  it('gives the hand-worked values', () => {
    // γ = 0.9, λ = 0.8, γλ = 0.72; rewards 1, 0, 2; values 0.5, 0.4, 0.3
    // δ₂ = 2 − 0.3 = 1.7                        A₂ = 1.7
    // δ₁ = 0 + 0.9 · 0.3 − 0.4 = −0.13          A₁ = −0.13 + 0.72 · 1.7   = 1.094
    // δ₀ = 1 + 0.9 · 0.4 − 0.5 = 0.86           A₀ = 0.86 + 0.72 · 1.094 = 1.64768
    const { advantages, returns } = generalisedAdvantages({
      rewards: [1, 0, 2],
      values: [0.5, 0.4, 0.3],
      mask: [1, 1, 1],
      rows: 1,
      gamma: 0.9,
      lambda: 0.8,
    });
    expectAllClose(advantages, [1.64768, 1.094, 1.7], TOLERANCE.storedFloat);
    expectAllClose(returns, [2.14768, 1.494, 2], TOLERANCE.storedFloat);
  });

  it('with γ = λ = 1 is the sum of the rewards to come, minus the value', () => {
    fc.assert(
      fc.property(row, ({ rewards, values, grid, real }) => {
        const { advantages, returns } = generalisedAdvantages({ ...grid, gamma: 1, lambda: 1 });
        const toCome = rewards.map((_, t) => rewards.slice(t).reduce((a, b) => a + b, 0));
        // Sixteenths are exact in floats: no tolerance.
        expect(real(returns)).toEqual(toCome);
        expect(real(advantages)).toEqual(toCome.map((sum, t) => sum - values[t]));
      }),
    );
  });

  it('with λ = 0 is the TD error', () => {
    fc.assert(
      fc.property(row, rates.gamma, ({ rewards, values, grid, real }, gamma) => {
        const { advantages } = generalisedAdvantages({ ...grid, gamma, lambda: 0 });
        expectAllClose(
          real(advantages),
          rewards.map((reward, t) => reward + gamma * (values[t + 1] ?? 0) - values[t]),
          TOLERANCE.storedFloat,
        );
      }),
    );
  });

  it('is the (γλ)-weighted sum of TD errors in between', () => {
    fc.assert(
      fc.property(row, rates.gamma, rates.lambda, ({ rewards, values, grid, real }, gamma, lambda) => {
        const errors = rewards.map((reward, t) => reward + gamma * (values[t + 1] ?? 0) - values[t]);
        const expected = errors.map((_, t) =>
          errors.slice(t).reduce((sum, error, k) => sum + (gamma * lambda) ** k * error, 0),
        );
        expectAllClose(
          real(generalisedAdvantages({ ...grid, gamma, lambda }).advantages),
          expected,
          TOLERANCE.storedFloat,
        );
      }),
    );
  });

  it('keeps rows apart', () => {
    const both = generalisedAdvantages({
      rewards: [1, 2, 3, 4],
      values: [0, 1, 0, 1],
      mask: [1, 1, 1, 1],
      rows: 2,
      gamma: 1,
      lambda: 0.5,
    });
    const second = generalisedAdvantages({
      rewards: [3, 4],
      values: [0, 1],
      mask: [1, 1],
      rows: 1,
      gamma: 1,
      lambda: 0.5,
    });
    expect([...both.advantages.subarray(2)]).toEqual([...second.advantages]);
  });

  it.each(GARBAGE)('does not read a masked %p, on the left or on the right', (garbage) => {
    const mask = [0, 1, 1, 0];
    const run = (fill: number): number[][] => {
      const { advantages, returns } = generalisedAdvantages({
        rewards: withGarbage([0, 1, 2, 0], mask, fill),
        values: withGarbage([0, 0.5, 0.25, 0], mask, fill),
        mask,
        rows: 1,
        gamma: 1,
        lambda: 0.95,
      });
      return [[...advantages], [...returns]];
    };
    expect(run(garbage)).toEqual(run(0));
  });
});
