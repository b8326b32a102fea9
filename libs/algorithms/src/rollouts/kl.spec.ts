import fc from 'fast-check';
import { expectAllClose, TOLERANCE } from '../spec-support';
import { klEstimators, klK1, klK2, klK3 } from './kl';

/** Normalises positive weights into log-probabilities. */
const logSoftmax = (weights: number[]): number[] => {
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => Math.log(weight / total));
};
const weights = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 4, maxLength: 4 });

describe('KL estimators', () => {
  it('give the hand-worked values', () => {
    // π = 0.5, π_ref = 0.25: x = ln 2 = 0.693147, r = ½.
    // k1 = 0.693147; k2 = 0.480453 / 2 = 0.240227; k3 = ½ − 1 + 0.693147 = 0.193147
    const up = { logprobs: [Math.log(0.5)], referenceLogprobs: [Math.log(0.25)] };
    expectAllClose(
      [klK1(up)[0], klK2(up)[0], klK3(up)[0]],
      [0.693147181, 0.240226507, 0.193147181],
      TOLERANCE.storedFloat,
    );
    // The other way round x = −ln 2, r = 2: k1 = −0.693147; k2 the same; k3 = 2 − 1 − 0.693147 = 0.306853
    const down = { logprobs: up.referenceLogprobs, referenceLogprobs: up.logprobs };
    expectAllClose(
      [klK1(down)[0], klK2(down)[0], klK3(down)[0]],
      [-0.693147181, 0.240226507, 0.306852819],
      TOLERANCE.storedFloat,
    );
  });

  it('are exactly 0 between equal policies', () => {
    const logprobs = Float32Array.of(-0.1, -3.7, 0, -20);
    for (const estimator of Object.values(klEstimators)) {
      expect([...estimator({ logprobs, referenceLogprobs: logprobs })]).toEqual([0, 0, 0, 0]);
    }
  });

  it('k1 and k3 have the KL as their mean under π; k2 and k3 are never negative', () => {
    fc.assert(
      fc.property(weights, weights, (a, b) => {
        const logprobs = logSoftmax(a);
        const referenceLogprobs = logSoftmax(b);
        const exact = logprobs.reduce(
          (sum, logprob, i) => sum + Math.exp(logprob) * (logprob - referenceLogprobs[i]),
          0,
        );
        const mean = (values: Float32Array): number =>
          values.reduce((sum, value, i) => sum + Math.exp(logprobs[i]) * value, 0);
        const input = { logprobs, referenceLogprobs };
        expectAllClose([mean(klK1(input)), mean(klK3(input))], [exact, exact], 1e-6);
        for (const value of [...klK2(input), ...klK3(input)]) expect(value).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it('k3 stays accurate for tiny differences, where r − 1 would cancel', () => {
    // x = 1e-7: k3 = x²/2 − x³/6 ≈ 5e-15
    expect(klK3({ logprobs: [1e-7], referenceLogprobs: [0] })[0] / 5e-15).toBeCloseTo(1, 6);
  });

  it('refuse lists of different lengths', () => {
    expect(() => klK1({ logprobs: [0, 0], referenceLogprobs: [0] })).toThrow('logprobs (2), referenceLogprobs (1)');
  });
});
