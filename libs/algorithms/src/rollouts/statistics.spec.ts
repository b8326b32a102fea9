import fc from 'fast-check';
import { expectAllClose, GARBAGE, withGarbage } from '../spec-support';
import { policyStatistics, rolloutStatistics, valueStatistics } from './statistics';

/** The statistics are doubles computed from doubles. */
const DOUBLE = 1e-12;

describe('rolloutStatistics', () => {
  it('gives the hand-worked values', () => {
    // Row 1: two tokens, KL 0.1 + 0.3 = 0.4, −log π = 1 + 2 = 3. Row 2: one token, KL −0.2, −log π = 0.5.
    // kl (0.4 − 0.2) / 2 = 0.1; entropy 3.5 / 2 = 1.75; scores (2 − 1) / 2 = 0.5;
    // penalty (1 + 1) / 2 = 1, rlhfReward 0.5 − 0.05 · 1 = 0.45; length 3 / 2.
    const statistics = rolloutStatistics({
      kl: [0.1, 0.3, -0.2, 9],
      penalty: [0.5, 0.5, 1, 9],
      logprobs: [-1, -2, -0.5, 9],
      mask: [1, 1, 1, 0],
      scores: [2, -1],
      finished: [true, false],
      coefficient: 0.05,
    });
    expect(Object.keys(statistics)).toEqual(['kl', 'entropy', 'scores', 'rlhfReward', 'eosFraction', 'responseLength']);
    expectAllClose(Object.values(statistics), [0.1, 1.75, 0.5, 0.45, 0.5, 1.5], DOUBLE);
  });

  it.each(GARBAGE)('does not read a masked %p', (garbage) => {
    const mask = [1, 0, 1, 1];
    const run = (fill: number): object =>
      rolloutStatistics({
        kl: withGarbage([1, 0, 2, 3], mask, fill),
        penalty: withGarbage([2, 0, 1, 3], mask, fill),
        logprobs: withGarbage([-1, 0, -2, -3], mask, fill),
        mask,
        scores: [1, 2],
        finished: [true, true],
        coefficient: 1,
      });
    expect(run(garbage)).toEqual(run(0));
  });
});

describe('policyStatistics', () => {
  it('gives the hand-worked values', () => {
    // Ratios 1.5 and 0.5. ln 1.5 = 0.405465, ln 0.5 = −0.693147.
    // approxkl ½ · (0.164402 + 0.480453) / 2 = 0.161214; mean ratio 1; variance (0.25 + 0.25) / 2 = 0.25.
    // A = 1: the clip changes 1.5 (−1.2 > −1.5) but not 0.5 (−0.8 < −0.5): clipfrac ½.
    const statistics = policyStatistics({
      logprobs: [Math.log(1.5), 5, Math.log(0.5)],
      oldLogprobs: [0, 5, 0],
      advantages: [1, 5, 1],
      entropies: [2, 5, 3],
      mask: [1, 0, 1],
      clipRange: 0.2,
    });
    expect(Object.keys(statistics)).toEqual(['approxkl', 'clipfrac', 'ratioMean', 'ratioVariance', 'entropy']);
    expectAllClose(Object.values(statistics), [0.161213742, 0.5, 1, 0.25, 2.5], 1e-9);
  });

  it('at ratio 1 has approxkl 0, clipfrac 0, and a ratio of mean 1 and variance 0, exactly', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ logprob: fc.float({ min: -50, max: 0, noNaN: true }), advantage: fc.float({ noNaN: true }) }),
          { minLength: 1 },
        ),
        (tokens) => {
          const logprobs = tokens.map(({ logprob }) => logprob);
          const statistics = policyStatistics({
            logprobs,
            oldLogprobs: logprobs,
            advantages: tokens.map(({ advantage }) => advantage),
            entropies: logprobs,
            mask: tokens.map(() => 1),
            clipRange: 0.2,
          });
          expect(statistics).toMatchObject({ approxkl: 0, clipfrac: 0, ratioMean: 1, ratioVariance: 0 });
        },
      ),
    );
  });

  it.each(GARBAGE)('does not read a masked %p', (garbage) => {
    const mask = [1, 0, 1];
    const at = (fill: number): object =>
      policyStatistics({
        logprobs: withGarbage([-1, 0, -2], mask, fill),
        oldLogprobs: [-1.5, 0, -1],
        advantages: withGarbage([1, 0, -1], mask, fill),
        entropies: withGarbage([1, 0, 1], mask, fill),
        mask,
        clipRange: 0.2,
      });
    expect(at(garbage)).toEqual(at(0));
  });
});

describe('valueStatistics', () => {
  it('gives the hand-worked values', () => {
    // Returns 1, 3, 5: mean 3, variance 8/3. Values 1, 2, 4: residuals 0, 1, 1, variance 2/3 − 4/9 = 2/9.
    // Explained 1 − (2/9) / (8/3) = 1 − 1/12 = 11/12.
    // Old values 1, 2, 3 and clip 0.2 hold the last at 3.2: error 1.8² > 1²; the others stay: clipfrac 1/3.
    const statistics = valueStatistics({
      values: [1, 2, 4, 9],
      oldValues: [1, 2, 3, 9],
      returns: [1, 3, 5, 9],
      mask: [1, 1, 1, 0],
      clipRange: 0.2,
    });
    expectAllClose([statistics.clipfrac, statistics.explainedVariance], [1 / 3, 11 / 12], DOUBLE);
  });

  it('explains everything when right, nothing when constant, and less than nothing when reversed', () => {
    const returns = [1, 2, 3];
    const explained = (values: number[]): number =>
      valueStatistics({ values, oldValues: values, returns, mask: [1, 1, 1], clipRange: 0.2 }).explainedVariance;
    expect(explained(returns)).toBe(1);
    // A constant offset is a bias, not a lack of explanation.
    expect(explained([6, 7, 8])).toBe(1);
    expect(explained([2, 2, 2])).toBe(0);
    // Residuals −2, 0, 2 against returns −1, 0, 1 around their mean: 1 − 4.
    expect(explained([3, 2, 1])).toBeCloseTo(-3, 12);
  });

  it('says 0 when the returns do not vary: there is nothing to explain', () => {
    const flat = valueStatistics({ values: [1, 2], oldValues: [1, 2], returns: [3, 3], mask: [1, 1], clipRange: 0.2 });
    expect(flat.explainedVariance).toBe(0);
  });

  it.each(GARBAGE)('does not read a masked %p', (garbage) => {
    const mask = [1, 1, 0];
    const at = (fill: number): object =>
      valueStatistics({
        values: withGarbage([1, 2, 0], mask, fill),
        oldValues: withGarbage([0, 2, 0], mask, fill),
        returns: withGarbage([3, 1, 0], mask, fill),
        mask,
        clipRange: 0.2,
      });
    expect(at(garbage)).toEqual(at(0));
  });
});
