import { randomStream } from '@pavlov/random';
import { installMatchers, tolerances } from '@pavlov/testing';
import fc from 'fast-check';
import { fitGoldLaw, goldReward } from './gold-law';

installMatchers();

const coefficients = {
  alpha: fc.double({ min: -2, max: 3, noNaN: true }),
  beta: fc.double({ min: 0.05, max: 2, noNaN: true }),
};
const curve = ({ alpha, beta, distances }: { alpha: number; beta: number; distances: readonly number[] }) =>
  distances.map((rootKl) => ({ rootKl, gain: goldReward({ alpha, beta, rootKl }) }));

describe('goldReward', () => {
  it('gives hand-worked values', () => {
    expect(goldReward({ alpha: 1, beta: 0.5, rootKl: 0 })).toBe(0);
    expect(goldReward({ alpha: 1, beta: 0.5, rootKl: 1 })).toBe(1);
    // e · (1 − 0.5 · ln e) = e / 2.
    expect(goldReward({ alpha: 1, beta: 0.5, rootKl: Math.E })).toBeCloseTo(Math.E / 2, 12);
  });
});

describe('fitGoldLaw', () => {
  it('finds the coefficients of exact points, wherever they lie', () => {
    fc.assert(
      fc.property(coefficients.alpha, coefficients.beta, (alpha, beta) => {
        const law = fitGoldLaw(curve({ alpha, beta, distances: [0, 0.3, 1, 2, 3.5, 6] }));
        expect(law?.alpha).toBeCloseTo(alpha, 9);
        expect(law?.beta).toBeCloseTo(beta, 9);
        expect(law?.explained).toBeCloseTo(1, 9);
      }),
    );
  });

  it('names the distance at which the law peaks, at β · d*', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -1, max: 2, noNaN: true }),
        fc.double({ min: 0.5, max: 2, noNaN: true }),
        (alpha, beta) => {
          const peak = fitGoldLaw(curve({ alpha, beta, distances: [0.5, 1, 2, 4] }))?.peak ?? NaN;
          const at = (rootKl: number): number => goldReward({ alpha, beta, rootKl });
          expect(at(peak)).toBeCloseTo(beta * peak, 6);
          expect(at(peak)).toBeGreaterThan(at(0.9 * peak));
          expect(at(peak)).toBeGreaterThan(at(1.1 * peak));
        },
      ),
    );
  });

  it('has no peak where the gains rise ever faster', () => {
    const law = fitGoldLaw([1, 2, 3, 4].map((rootKl) => ({ rootKl, gain: rootKl ** 2 })));
    expect(law?.beta).toBeLessThan(0);
    expect(law?.peak).toBeUndefined();
  });

  it('says what it does not explain', () => {
    const law = fitGoldLaw([0.5, 1, 1.5, 2, 2.5, 3].map((rootKl, i) => ({ rootKl, gain: i % 2 === 0 ? 1 : -1 })));
    expect(law?.explained).toBeLessThan(0.2);
  });

  it('wants two distances', () => {
    expect(fitGoldLaw([])).toBeUndefined();
    expect(
      fitGoldLaw([
        { rootKl: 0, gain: 0 },
        { rootKl: 0, gain: 1 },
      ]),
    ).toBeUndefined();
    expect(
      fitGoldLaw([
        { rootKl: 2, gain: 0 },
        { rootKl: 2, gain: 1 },
      ]),
    ).toBeUndefined();
  });

  it('recovers α, β and the peak from noisy looks', () => {
    const [alpha, beta, answers] = [1, 0.5, 128];
    const truth = [alpha, beta, Math.exp(alpha / beta - 1)];
    const fits = Array.from({ length: 20 }, (_, seed) => {
      const random = randomStream(seed, 'law');
      const noisy = (value: number, deviation: number): number =>
        value + (deviation / Math.sqrt(answers)) * random.normal();
      const points = Array.from({ length: 40 }, (_, look) => {
        const rootKl = (6 * look) / 39;
        const kl = noisy(rootKl ** 2, Math.SQRT2 * rootKl);
        return { rootKl: Math.sqrt(Math.max(0, kl)), gain: noisy(goldReward({ alpha, beta, rootKl }), 1) };
      });
      // Gains are measured from the first look, whose noise is in all of them.
      const law = fitGoldLaw(points.map(({ rootKl, gain }) => ({ rootKl, gain: gain - points[0].gain })));
      return [law?.alpha ?? NaN, law?.beta ?? NaN, law?.peak ?? NaN];
    });
    for (const fit of fits) expect(fit).toBeAllClose(truth, tolerances.lawFit);
    const means = truth.map((_, i) => fits.reduce((sum, fit) => sum + fit[i] / fits.length, 0));
    expect(means).toBeAllClose(truth, tolerances.lawFitMean);
  });
});
