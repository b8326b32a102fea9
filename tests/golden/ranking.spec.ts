import { rankingLoss, rankingPairWeights } from '@pavlov/algorithms';
import { createEngine, type Engine } from '@pavlov/tensor';
import { installMatchers, tolerances } from '@pavlov/testing';
import { createLearner } from '@pavlov/training';
import { compileReward } from '../../apps/reward-modeling/src/network';
import { layOutRankings } from '../../apps/reward-modeling/src/rankings';
import { gradientDifferences, readFixture, type EncodedWeights } from './fixture';
import { lossAndGradient } from './loss-and-gradient';
import { model, network } from './networks';

installMatchers();

interface Case {
  readonly rankings: number[][];
  readonly ofScores: { readonly scores: number[][]; readonly loss: number; readonly gradients: number[][] };
  readonly throughModel: {
    readonly sequences: number[][][];
    readonly loss: number;
    readonly gradients: EncodedWeights;
  };
}
const fixture = readFixture<Record<string, Case>>('ranking');

let engine: Engine;
beforeAll(async () => (engine = await createEngine({ threads: 1 })));
afterAll(() => engine.dispose());

describe.each([2, 4, 9])('the ranking loss of %d answers, with ties and missing answers', (answers) => {
  const { rankings, ofScores, throughModel } = fixture[`K = ${answers}`];
  const prompts = rankings.length;
  /** One number for each of K answers, 0 where there is none. */
  const grid = (rows: readonly number[][]): number[] =>
    rows.flatMap((row) => Array.from({ length: answers }, (_, answer) => row[answer] ?? 0));

  it('has the value and the gradient of PyTorch', async () => {
    const { loss, gradients } = await lossAndGradient(
      engine,
      ({ scores, pairWeights }) => rankingLoss({ scores, pairWeights }),
      {
        trained: { scores: { shape: [prompts, answers], values: grid(ofScores.scores) } },
        given: {
          pairWeights: {
            shape: [prompts, answers, answers],
            values: rankingPairWeights({ rankings, maxAnswers: answers }),
          },
        },
      },
    );
    expect([loss]).toBeAllClose([ofScores.loss], tolerances.rounded);
    expect(gradients.scores).toBeAllClose(grid(ofScores.gradients), tolerances.rounded);
  });

  it('has the gradient of every weight of a reward model', async () => {
    const shape = { prompts, answers, columns: model.contextLength };
    const parameters = network('reward');
    const learner = createLearner(parameters, {
      weightDecay: 0,
      beta1: 0.9,
      beta2: 0.95,
      epsilon: 1e-8,
      epsilonPlacement: 'pytorch',
      clipNorm: 1,
    });
    const reward = compileReward(engine, { model, layout: parameters.layout, shape });
    const rows = rankings.map((ranks, prompt) => ({ ranks, sequences: throughModel.sequences[prompt] }));
    const { loss } = await reward.gradients(learner, layOutRankings(rows, { ...shape, padId: model.padId }));
    expect([loss]).toBeAllClose([throughModel.loss], tolerances.goldenForward);
    expect(gradientDifferences(learner.gradients, throughModel.gradients)).toEqual([]);
  });
});
