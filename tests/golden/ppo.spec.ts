import { accumulate, updateAverage } from '@pavlov/algorithms';
import { type PpoConfig } from '@pavlov/contracts';
import { layOutDemonstrations, type EncodedDemonstration } from '@pavlov/datasets';
import { copyParameters, createEngine, type Engine, type Parameters } from '@pavlov/tensor';
import { installMatchers, tolerances } from '@pavlov/testing';
import { compileLmStep, createLearner, type Learner } from '@pavlov/training';
import { compilePolicy, compileValue, type GridShape } from '../../apps/ppo/src/networks';
import { estimateAdvantages, layOutEpisodes, takeRows, type Episodes } from '../../apps/ppo/src/rollout';
import { readFixture, weightDifferences, type EncodedWeights } from './fixture';
import { model, network } from './networks';

installMatchers();

interface Step {
  readonly policyLoss: number;
  readonly pretrainingLoss?: number;
  readonly policyGradientNorm: number;
  readonly valueLoss: number;
  readonly valueGradientNorm: number;
}
type Estimate = 'old' | 'kls' | 'values' | 'advantages' | 'returns';
interface Fixture {
  readonly config: PpoConfig & { readonly valueLearningRate: number; readonly averageDecay: number };
  readonly rollout: {
    readonly prompts: number[][];
    readonly responses: number[][];
    readonly finished: boolean[];
    readonly maxNewTokens: number;
    readonly scores: number[];
    /** Of each epoch, the episodes of each minibatch. */
    readonly minibatches: number[][][];
  };
  /** With PPO-ptx, the batch of each step. */
  readonly pretraining?: EncodedDemonstration[][];
  /** Of each episode, a number per token of its response. */
  readonly estimates: Record<Estimate, number[][]>;
  readonly steps: Step[];
  readonly policy: EncodedWeights;
  readonly average: EncodedWeights;
  readonly value: EncodedWeights;
}

let engine: Engine;
beforeAll(async () => (engine = await createEngine({ threads: 1 })));
afterAll(() => engine.dispose());

describe.each(['ppo', 'ppo-ptx'])('one whole update: %s', (name) => {
  const fixture = readFixture<Fixture>(name);
  let update: Awaited<ReturnType<typeof updateOnce>>;
  beforeAll(async () => (update = await updateOnce(fixture)));

  it.each(['old', 'kls', 'values', 'advantages', 'returns'] as const)('estimates %s', (estimate) => {
    update.estimates[estimate].forEach((actual, episode) =>
      expect(actual).toBeAllClose(fixture.estimates[estimate][episode], tolerances.goldenForward),
    );
  });

  it('has the losses and the norms of every minibatch', () => {
    const names = Object.keys(fixture.steps[0]) as (keyof Step)[];
    expect(update.steps.map((step) => Object.keys(step))).toEqual(fixture.steps.map(() => names));
    update.steps.forEach((step, index) =>
      expect(names.map((one) => step[one]!)).toBeAllClose(
        names.map((one) => fixture.steps[index][one]!),
        tolerances.goldenForward,
      ),
    );
  });

  it('ends at the weights of PyTorch, policy, average and value network', () => {
    for (const one of ['policy', 'average', 'value'] as const)
      expect(weightDifferences(update[one], fixture[one])).toEqual([]);
  });
});

/** What an iteration of PPO does once the responses are there, with the functions that the stage does it with. */
async function updateOnce({ config, rollout, pretraining }: Fixture) {
  const episodes = layOutRollout(rollout);
  const grid = { rows: config.minibatchSize, columns: episodes.columns, states: rollout.maxNewTokens };
  const { columns } = grid;
  const policyLearner = createLearner(network('policy'), config);
  const valueLearner = createLearner(network('reward'), config);
  const average = copyParameters(policyLearner.parameters);
  const networks = await compileNetworks({ config, grid, policyLearner, valueLearner });
  const addPretraining = pretraining && (await compilePretraining(pretraining, config));

  const slicesOf = async (measure: (slice: Pick<Episodes, 'tokens' | 'targets' | 'mask'>) => Promise<Float32Array>) => {
    const halves = [0, config.minibatchSize].map((first) =>
      Array.from({ length: config.minibatchSize }, (_, row) => first + row),
    );
    const measured = [];
    for (const rows of halves)
      measured.push(
        ...(await measure({
          tokens: takeRows(episodes.tokens, { rows, columns }),
          targets: takeRows(episodes.targets, { rows, columns }),
          mask: takeRows(episodes.mask, { rows, columns }),
        })),
      );
    return Float32Array.from(measured);
  };
  const logprobs = (parameters: Parameters) => slicesOf((slice) => networks.policy.logprobs(parameters, slice));
  const experience = estimateAdvantages(
    episodes,
    {
      logprobs: await logprobs(policyLearner.parameters),
      referenceLogprobs: await logprobs(network('reference')),
      values: await slicesOf((slice) => networks.value.values(valueLearner.parameters, slice)),
      scores: Float32Array.from(rollout.scores),
    },
    config,
  );

  const steps: Step[] = [];
  for (const rows of rollout.minibatches.flat()) {
    const take = <A extends Float32Array | Int32Array>(values: A): A => takeRows(values, { rows, columns });
    const slice = {
      tokens: take(episodes.tokens),
      targets: take(episodes.targets),
      mask: take(episodes.mask),
      oldLogprobs: take(experience.logprobs),
      advantages: take(experience.advantages),
      oldValues: take(experience.values),
      returns: take(experience.returns),
    };
    const { loss: policyLoss } = await networks.policy.gradients(policyLearner, slice);
    const pretrainingLoss = await addPretraining?.(policyLearner, steps.length);
    const { gradientNorm: policyGradientNorm } = policyLearner.update({
      learningRate: config.learningRate,
      losses: { policyLoss },
    });
    updateAverage({
      average: average.data,
      parameters: policyLearner.parameters.data,
      decay: config.averageDecay,
    });
    const { loss: valueLoss } = await networks.value.gradients(valueLearner, slice);
    const { gradientNorm: valueGradientNorm } = valueLearner.update({
      learningRate: config.valueLearningRate,
      losses: { valueLoss },
    });
    steps.push({
      policyLoss,
      ...(pretrainingLoss !== undefined && { pretrainingLoss }),
      policyGradientNorm,
      valueLoss,
      valueGradientNorm,
    });
  }

  const perResponse = (values: Float32Array): Float32Array[] =>
    rollout.prompts.map((prompt, row) => {
      const first = row * columns + prompt.length - 1;
      return values.subarray(first, first + rollout.responses[row].length);
    });
  return {
    estimates: {
      old: perResponse(experience.logprobs),
      kls: perResponse(experience.penalty),
      values: perResponse(experience.values),
      advantages: perResponse(experience.advantages),
      returns: perResponse(experience.returns),
    },
    steps,
    policy: policyLearner.parameters,
    average,
    value: valueLearner.parameters,
  };
}

function layOutRollout({ prompts, responses, finished, maxNewTokens }: Fixture['rollout']): Episodes {
  return layOutEpisodes({
    prompts,
    generation: { responses, finished },
    columns: Math.max(...prompts.map(({ length }) => length)) + maxNewTokens,
    padId: model.padId,
  });
}

async function compileNetworks(input: {
  config: PpoConfig;
  grid: GridShape;
  policyLearner: Learner;
  valueLearner: Learner;
}) {
  const { config, grid, policyLearner, valueLearner } = input;
  const shared = { model, grid };
  return {
    policy: compilePolicy(engine, {
      ...shared,
      layout: policyLearner.parameters.layout,
      temperature: config.temperature,
      clipRange: config.clipRange,
    }),
    value: compileValue(engine, {
      ...shared,
      layout: valueLearner.parameters.layout,
      clipRange: config.valueClipRange,
      coefficient: config.valueCoefficient,
    }),
  };
}

/** Adds the gradient of a step's pretraining batch to the policy's, and gives its loss. */
async function compilePretraining(batches: EncodedDemonstration[][], { ptx }: PpoConfig) {
  const shape = { rows: batches[0].length, columns: model.contextLength };
  const step = compileLmStep(engine, { model, ...shape, coefficient: ptx!.coefficient });
  return async (learner: Learner, index: number): Promise<number> => {
    const gradients = copyParameters(learner.gradients);
    const batch = layOutDemonstrations(batches[index], { ...shape, padId: model.padId });
    const { loss } = await step.gradients({ ...learner, gradients }, batch);
    accumulate({ total: learner.gradients.data, gradients: gradients.data });
    return loss;
  };
}
