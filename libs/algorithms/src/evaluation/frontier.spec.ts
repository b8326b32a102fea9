import fc from 'fast-check';
import { bestOfNKl, klOptimum } from './frontier';

describe('klOptimum', () => {
  it('gives the hand-worked optimum', () => {
    // π_ref = (½, ½), r = (β ln 3, 0): π* ∝ (3, 1) = (¾, ¼). Reward ¾ · 0.5 ln 3 = 0.411980.
    // KL ¾ ln(¾ / ½) + ¼ ln(¼ / ½) = 0.304099 − 0.173287 = 0.130812
    const optimum = klOptimum({
      referenceLogprobs: [-Math.LN2, -Math.LN2],
      rewards: [0.5 * Math.log(3), 0],
      coefficient: 0.5,
    });
    expect(optimum.probabilities[0]).toBeCloseTo(0.75, 12);
    expect(optimum.reward).toBeCloseTo(0.41198, 6);
    expect(optimum.kl).toBeCloseTo(0.130812, 6);
  });

  it('is beaten by no other policy', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 5, maxLength: 5 });
    const rewards = fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 5, maxLength: 5 });
    const normalised = (w: number[]): number[] => w.map((x) => x / w.reduce((a, b) => a + b, 0));
    fc.assert(
      fc.property(weights, weights, rewards, (a, b, r) => {
        const reference = normalised(a);
        const rival = normalised(b);
        const optimum = klOptimum({ referenceLogprobs: reference.map(Math.log), rewards: r, coefficient: 0.7 });
        const objective = rival.reduce((sum, p, y) => sum + p * (r[y] - 0.7 * Math.log(p / reference[y])), 0);
        expect(optimum.reward - 0.7 * optimum.kl).toBeGreaterThanOrEqual(objective - 1e-9);
      }),
    );
  });

  it('is the reference for a huge β, and the best response for a tiny one', () => {
    const referenceLogprobs = [0.2, 0.3, 0.5].map(Math.log);
    const rewards = [1, 3, 2];
    expect(klOptimum({ referenceLogprobs, rewards, coefficient: 1e9 }).kl).toBeCloseTo(0, 12);
    const greedy = klOptimum({ referenceLogprobs, rewards, coefficient: 1e-4 });
    expect([...greedy.probabilities]).toEqual([0, 1, 0]);
    expect(greedy.kl).toBeCloseTo(-Math.log(0.3), 9);
    expect(() => klOptimum({ referenceLogprobs, rewards, coefficient: 0 })).toThrow('β must be positive');
  });
});

describe('bestOfNKl', () => {
  it('gives the hand-worked values', () => {
    expect(bestOfNKl(1)).toBe(0);
    // ln 4 − 3/4 = 1.386294 − 0.75
    expect(bestOfNKl(4)).toBeCloseTo(0.636294, 6);
    expect(() => bestOfNKl(0)).toThrow(RangeError);
  });

  it('is the KL of really taking the best of n among many equally likely answers', () => {
    const answers = 200_000;
    for (const n of [2, 4, 16]) {
      let kl = 0;
      for (let k = 1; k <= answers; k++) {
        // The best of n has rank k or lower with probability (k / answers)^n.
        const p = (k / answers) ** n - ((k - 1) / answers) ** n;
        if (p > 0) kl += p * Math.log(p * answers);
      }
      expect(kl).toBeCloseTo(bestOfNKl(n), 4);
    }
  });
});
