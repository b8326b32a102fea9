import { accumulate, untiedPairs } from '@pavlov/algorithms';
import { initParameters } from '@pavlov/model';
import { randomStream } from '@pavlov/random';
import { createEngine, type Engine } from '@pavlov/tensor';
import { installMatchers, tolerances } from '@pavlov/testing';
import { createLearner } from '@pavlov/training';
import { compileReward, type RankingShape } from './network';
import { layOutRankings } from './rankings';

installMatchers();

const model = { vocabSize: 40, contextLength: 8, layers: 1, heads: 1, width: 16, padId: 1 };
const parameters = initParameters(model, 'scalar', 1);
const optimiser = {
  weightDecay: 0,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  epsilonPlacement: 'pytorch',
  clipNorm: 1,
} as const;

interface Ranking {
  readonly sequences: number[][];
  readonly ranks: number[];
}

/** Eight prompts with two to four answers of one to six tokens, without ties. */
const rankings = Array.from({ length: 8 }, (_, prompt): Ranking => {
  const { below, shuffle } = randomStream(1, 'rankings', [prompt]);
  const ranks = shuffle([1, 2, 3, 4].slice(0, 2 + (prompt % 3)));
  return { ranks, sequences: ranks.map(() => Array.from({ length: 1 + below(6) }, () => 2 + below(38))) };
});

let engine: Engine;
beforeAll(async () => (engine = await createEngine({ threads: 1 })));
afterAll(() => engine.dispose());

/** A function from rankings to their loss and its gradient, compiled for one shape. */
async function compile(shape: RankingShape & { microbatchSize?: number }) {
  const network = compileReward(engine, { model, layout: parameters.layout, shape, ...shape });
  return async (batch: readonly Ranking[]): Promise<{ loss: number; gradient: Float32Array }> => {
    const learner = createLearner(parameters, optimiser);
    const { loss } = await network.gradients(learner, layOutRankings(batch, { ...shape, padId: model.padId }));
    return { loss, gradient: learner.gradients.data };
  };
}

/** The mean of losses and of gradients. */
function meanOf(parts: readonly { loss: number; gradient: Float32Array }[]) {
  const gradient = new Float32Array(parameters.data.length);
  for (const part of parts) accumulate({ total: gradient, gradients: part.gradient });
  return {
    loss: parts.reduce((sum, { loss }) => sum + loss, 0) / parts.length,
    gradient: gradient.map((value) => value / parts.length),
  };
}

it('learns from K forward passes what C(K, 2) separate pairs teach', async () => {
  const together = await compile({ prompts: 1, answers: 4, columns: 8 });
  const apart = await compile({ prompts: 1, answers: 2, columns: 8 });
  const ranking = rankings.find(({ ranks }) => ranks.length === 4)!;
  const whole = await together([ranking]);
  const pairs = [];
  for (const { winner, loser } of untiedPairs(ranking.ranks)) {
    const [chosen, rejected] = [ranking.sequences[winner], ranking.sequences[loser]];
    pairs.push(await apart([{ sequences: [chosen, rejected], ranks: [1, 2] }]));
  }
  expect(pairs).toHaveLength(6);
  const mean = meanOf(pairs);
  expect([whole.loss]).toBeAllClose([mean.loss], tolerances.composed);
  expect(whole.gradient).toBeAllClose(mean.gradient, tolerances.composed);
  expect(Math.max(...whole.gradient)).toBeGreaterThan(0.01);
});

it('learns from a batch of 8 prompts what 8 batches of 1 teach', async () => {
  const together = await compile({ prompts: 8, answers: 4, columns: 8 });
  const apart = await compile({ prompts: 1, answers: 4, columns: 8 });
  const whole = await together(rankings);
  const parts = [];
  for (const ranking of rankings) parts.push(await apart([ranking]));
  const mean = meanOf(parts);
  expect([whole.loss]).toBeAllClose([mean.loss], tolerances.composed);
  expect(whole.gradient).toBeAllClose(mean.gradient, tolerances.composed);
});

it.each([1, 3])('learns from slices of %d prompts what the whole batch teaches', async (microbatchSize) => {
  const whole = await compile({ prompts: 8, answers: 4, columns: 8 });
  const sliced = await compile({ prompts: 8, answers: 4, columns: 8, microbatchSize });
  const [expected, actual] = [await whole(rankings), await sliced(rankings)];
  expect([actual.loss]).toBeAllClose([expected.loss], tolerances.composed);
  expect(actual.gradient).toBeAllClose(expected.gradient, tolerances.composed);
});

it('reads neither the padding nor the missing prompts and answers', async () => {
  const tight = await compile({ prompts: 8, answers: 4, columns: 6 });
  const loose = await compile({ prompts: 11, answers: 6, columns: 8 });
  const [expected, actual] = [await tight(rankings), await loose(rankings)];
  expect([actual.loss]).toBeAllClose([expected.loss], tolerances.composed);
  expect(actual.gradient).toBeAllClose(expected.gradient, tolerances.composed);
});
