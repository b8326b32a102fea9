import { tf } from '@pavlov/tensor';
import fc from 'fast-check';
import { promptsWithPairs, rankingPairWeights, untiedPairs } from '../reward/pairs';
import { expectAllClose, expectLossToMatch, GARBAGE, lossAndGradient, TOLERANCE, useCpuBackend } from '../spec-support';
import { rankingLoss } from './ranking';

useCpuBackend();

const logSigmoid = (x: number): number => -Math.log1p(Math.exp(-x));

/** The graph's loss of some rankings, each with its scores; shorter ones are padded with `padding`. */
function lossOf(
  prompts: { scores: number[]; ranks: number[] }[],
  padding = 0,
  total?: number,
): { loss: number; gradient: Float32Array } {
  const k = Math.max(...prompts.map(({ scores }) => scores.length));
  const rows = prompts.map(({ scores }) => [...scores, ...new Array<number>(k - scores.length).fill(padding)]);
  const rankings = prompts.map(({ ranks }) => ranks);
  const weights = rankingPairWeights({ rankings, maxAnswers: k, prompts: total });
  const pairWeights = tf.tensor3d(weights, [prompts.length, k, k]);
  return lossAndGradient((scores) => rankingLoss({ scores, pairWeights }), tf.tensor2d(rows));
}

const quarter = fc.integer({ min: -32, max: 32 }).map((n) => n / 4);
const ranking = fc.integer({ min: 2, max: 6 }).chain((k) =>
  fc.record({
    scores: fc.array(quarter, { minLength: k, maxLength: k }),
    ranks: fc.array(fc.integer({ min: 1, max: k }), { minLength: k, maxLength: k }),
  }),
);

describe('rankingLoss', () => {
  it('gives the hand-worked value for three answers', () => {
    // Margins 2−1 = 1, 2−0 = 2, 1−0 = 1. −ln σ(1) = 0.313262, −ln σ(2) = 0.126928.
    // (0.313262 + 0.126928 + 0.313262) / 3 = 0.251151
    expectAllClose([lossOf([{ scores: [2, 1, 0], ranks: [1, 2, 3] }]).loss], [0.251151], 1e-6);
  });

  it('drops ties', () => {
    // Only (0 over 2) and (1 over 2) remain: margins 2 and 1. (0.126928 + 0.313262) / 2 = 0.220095
    expectAllClose([lossOf([{ scores: [2, 1, 0], ranks: [1, 1, 2] }]).loss], [0.220095], 1e-6);
    expect(lossOf([{ scores: [2, 1, 0], ranks: [1, 1, 1] }]).loss).toBe(0);
  });

  it('averages within a prompt first, then over prompts that have a pair', () => {
    // Prompt 1: 0.251151 over 3 pairs; prompt 2: −ln σ(−1) = 1.313262 over 1; prompt 3 is all ties.
    // (0.251151 + 1.313262) / 2 = 0.782206, not the 0.516679 of a mean over the 4 pairs.
    const loss = lossOf([
      { scores: [2, 1, 0], ranks: [1, 2, 3] },
      { scores: [0, 1], ranks: [1, 2] },
      { scores: [5, 3], ranks: [1, 1] },
    ]).loss;
    expectAllClose([loss], [0.782206], 1e-6);
  });

  it('is the Bradley–Terry pair loss when K = 2', () => {
    fc.assert(
      fc.property(quarter, quarter, (chosen, rejected) => {
        const { loss } = lossOf([{ scores: [rejected, chosen], ranks: [2, 1] }]);
        expectAllClose([loss], [-logSigmoid(chosen - rejected)], TOLERANCE.floatGraph);
      }),
    );
  });

  it('is the mean of its pairs taken one by one', () => {
    fc.assert(
      fc.property(ranking, ({ scores, ranks }) => {
        const pairs = untiedPairs(ranks);
        fc.pre(pairs.length > 0);
        const separate = pairs.map(
          ({ winner, loser }) => lossOf([{ scores: [scores[winner], scores[loser]], ranks: [1, 2] }]).loss,
        );
        const mean = separate.reduce((a, b) => a + b, 0) / pairs.length;
        expectAllClose([lossOf([{ scores, ranks }]).loss], [mean], TOLERANCE.floatGraph);
      }),
    );
  });

  it('has the gradient of finite differences', () => {
    fc.assert(
      fc.property(ranking, ({ scores, ranks }) => {
        const pairs = untiedPairs(ranks);
        fc.pre(pairs.length > 0);
        const k = ranks.length;
        const pairWeights = tf.tensor3d(rankingPairWeights({ rankings: [ranks], maxAnswers: k }), [1, k, k]);
        expectLossToMatch({
          graph: (x) => rankingLoss({ scores: x, pairWeights }),
          reference: (r) =>
            -pairs.reduce((sum, { winner, loser }) => sum + logSigmoid(r[winner] - r[loser]), 0) / pairs.length,
          at: scores,
          shape: [1, k],
        });
      }),
    );
  });

  it('pushes winners up and losers down', () => {
    const { gradient } = lossOf([{ scores: [0, 0, 0], ranks: [2, 3, 1] }]);
    // At equal scores every pair pulls with σ(0) = ½: two pairs for rank 1, none in sum for rank 2, two for rank 3.
    expectAllClose(gradient, [0, 1 / 3, -1 / 3], TOLERANCE.floatGraph);
  });

  it('depends on differences of scores only', () => {
    const ranks = [2, 1, 3];
    expect(lossOf([{ scores: [4, 2, 1], ranks }])).toEqual(lossOf([{ scores: [104, 102, 101], ranks }]));
  });

  it('stays finite when the model is sure and wrong', () => {
    const { loss, gradient } = lossOf([{ scores: [-300, 300], ranks: [1, 2] }]);
    expect(loss).toBe(600);
    expect([...gradient]).toEqual([-1, 1]);
  });

  it.each(GARBAGE)('does not read the unused places of a short ranking: %p', (garbage) => {
    const prompts = [
      { scores: [2, 1, 0], ranks: [1, 2, 3] },
      { scores: [0, 1], ranks: [1, 2] },
    ];
    expect(lossOf(prompts, garbage)).toEqual(lossOf(prompts, 0));
    expect(lossOf(prompts, garbage).gradient[5]).toBe(0);
  });

  it('adds up over 8 batches of 1 to one batch of 8', () => {
    fc.assert(
      fc.property(fc.array(ranking, { minLength: 8, maxLength: 8 }), (prompts) => {
        const total = promptsWithPairs(prompts.map(({ ranks }) => ranks));
        fc.pre(total > 0);
        const parts = prompts.map((prompt) => lossOf([prompt], 0, total).loss);
        expectAllClose([parts.reduce((a, b) => a + b, 0)], [lossOf(prompts).loss], TOLERANCE.floatGraph);
      }),
      { numRuns: 25 },
    );
  });
});
