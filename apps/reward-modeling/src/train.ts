/**
 * Reward model from rankings (InstructGPT §3.5 and appendix C.2).
 *
 *  1. start from the SFT policy's trunk, with a fresh scalar head ~ N(0, 1/√(C+1)),
 *  2. encode the rankings and hold some prompts out, with all their answers,
 *  3. one pass: for each batch of prompts, K forward passes per prompt and the loss over all its pairs,
 *  4. measure pair accuracy and calibration on the held-out prompts,
 *  5. shift the reward so that demonstrations score 0 on average,
 *  6. publish.
 *
 * Leaves out: choosing the best of several seeds, ensembles, and mixing a language-model loss in.
 */
import {
  calibration,
  centreOnDemonstrations,
  cosineDecay,
  pairAccuracy,
  preferenceMargins,
  warmUp,
} from '@pavlov/algorithms';
import { PavlovError, type RewardModelingConfig } from '@pavlov/contracts';
import { encodeDemonstration } from '@pavlov/datasets';
import { createRewardScorer, initParameters, type RewardScorer } from '@pavlov/model';
import { randomStream } from '@pavlov/random';
import { type Train, type TrainerContext } from '@pavlov/service-kit';
import { createEngine, type Parameters } from '@pavlov/tensor';
import {
  createLearner,
  createThroughput,
  loadCheckpoint,
  publishCheckpoint,
  readRows,
  type LoadedCheckpoint,
} from '@pavlov/training';
import { compileReward } from './network';
import { ceilingOf, encodeRankings, layOutRankings, type EncodedRanking } from './rankings';

export const train: Train<'reward-modeling'> = async (context) => {
  const { config, seed, store } = context;
  const engine = await createEngine({ threads: context.threads });

  // 1.
  const policy = await loadCheckpoint(store, { id: config.policy, head: 'lm' });
  const parameters = initParameters(policy.model, 'scalar', seed);
  for (const [name, view] of Object.entries(policy.parameters.views)) parameters.views[name]?.set(view);
  const learner = createLearner(parameters, config);

  // 2.
  const { tokenizer } = policy;
  const rows = await readRows(store, { id: config.rankings, kind: 'rankings' });
  const rankings = encodeRankings(rows, { tokenizer, contextLength: policy.model.contextLength });
  const { training, heldOut } = splitByPrompt(rankings, { fraction: config.heldOutFraction, seed });
  const demonstrations = await encodeDemonstrations(context, policy);
  const answers = Math.max(...rankings.map(({ sequences }) => sequences.length));
  const columns = Math.max(
    ...[...rankings.flatMap(({ sequences }) => sequences), ...demonstrations].map((sequence) => sequence.length),
  );
  const shape = { prompts: config.batchSize, answers, columns };

  // 3.
  const network = await compileReward(engine, { model: policy.model, layout: parameters.layout, shape });
  const scorer = await createRewardScorer(engine, {
    config: policy.model,
    batch: config.batchSize * answers,
    length: columns,
  });
  const stepsPerEpoch = Math.ceil(training.length / config.batchSize);
  const steps = stepsPerEpoch * config.epochs;
  const rate = learningRate(config, steps);
  const throughput = createThroughput();
  for (let step = 0; step < steps; step++) {
    await context.checkpoint();
    const epoch = Math.floor(step / stepsPerEpoch);
    const order = randomStream(seed, 'reward/order', [epoch]).shuffle(training);
    const batch = order.slice((step % stepsPerEpoch) * config.batchSize).slice(0, config.batchSize);
    const { loss } = await network.gradients(learner, layOutRankings(batch, { ...shape, padId: tokenizer.padId }));
    const { gradientNorm } = learner.update({ learningRate: rate(step), losses: { 'ranking loss': loss } });

    throughput.add(tokensOf(batch));
    context.metrics(step, {
      'loss/ranking': loss,
      'train/gradient_norm': gradientNorm,
      'train/learning_rate': rate(step),
    });
    context.progress({
      fraction: (step + 1) / steps,
      phase: 'training',
      step: step + 1,
      steps,
      tokensPerSecond: throughput.lap(),
      headline: { name: 'loss', value: loss },
    });
  }

  // 4.
  const quality = heldOut.length === 0 ? {} : await measureQuality({ scorer, parameters, rankings: heldOut });
  context.metrics(steps, quality);

  // 5.
  const scores =
    demonstrations.length === 0 ? undefined : await scorer.score({ parameters, sequences: demonstrations });
  const bias = scores === undefined ? 0 : centreOnDemonstrations(scores).bias;
  shiftReward(parameters, bias);

  // 6.
  const metrics = { ...quality, bias };
  await publishCheckpoint(context, { ...policy, kind: 'reward-model', parameters, metrics });
  engine.dispose();
  return { metrics, tokens: throughput.tokens };
};

function learningRate(config: RewardModelingConfig, steps: number) {
  const { learningRate: peak, warmupSteps } = config;
  const then = cosineDecay({
    peak,
    floor: peak * config.finalLearningRateFraction,
    steps: Math.max(steps - warmupSteps, 1),
  });
  return warmUp({ steps: warmupSteps, then });
}

/** All rankings of a prompt fall on one side, or the model would be measured on what it has learned. */
function splitByPrompt(rankings: readonly EncodedRanking[], { fraction, seed }: { fraction: number; seed: number }) {
  const prompts = randomStream(seed, 'reward/held-out').shuffle([...new Set(rankings.map(({ prompt }) => prompt))]);
  const held = new Set(prompts.slice(0, Math.round(prompts.length * fraction)));
  const training = rankings.filter(({ prompt, ranks }) => !held.has(prompt) && new Set(ranks).size > 1);
  if (training.length === 0) {
    throw new PavlovError({
      code: 'DATASET_EMPTY',
      field: 'rankings',
      message: 'Every ranking is a tie, so there is nothing to learn.',
      hint: 'Give at least one prompt with answers of different rank.',
    });
  }
  return { training, heldOut: rankings.filter(({ prompt }) => held.has(prompt)) };
}

async function encodeDemonstrations(
  { config, store }: TrainerContext<'reward-modeling'>,
  policy: LoadedCheckpoint,
): Promise<number[][]> {
  if (config.demonstrations === undefined) return [];
  const rows = await readRows(store, { id: config.demonstrations, kind: 'demonstrations' });
  return rows.map((row) => {
    const { prompt, completion } = encodeDemonstration(row, policy.tokenizer);
    return [...prompt, ...completion];
  });
}

async function measureQuality(input: {
  scorer: RewardScorer;
  parameters: Parameters;
  rankings: readonly EncodedRanking[];
}): Promise<Record<string, number>> {
  const { scorer, parameters, rankings } = input;
  const flat = await scorer.score({ parameters, sequences: rankings.flatMap(({ sequences }) => sequences) });
  let position = 0;
  const scores = rankings.map(({ sequences }) => flat.subarray(position, (position += sequences.length)));
  const margins = preferenceMargins({ scores, rankings: rankings.map(({ ranks }) => ranks) });
  if (margins.length === 0) return {};
  const ceiling = ceilingOf(rankings);
  return {
    pairAccuracy: pairAccuracy(margins),
    heldOutPairs: margins.length,
    calibrationError: calibration({ margins }).expectedCalibrationError,
    ...(ceiling === undefined ? {} : { noiseCeiling: ceiling }),
  };
}

/**
 * Adds `bias` to every reward. The published format has a head without a bias, so it goes into the last layer norm's:
 * moving β along the head's weights w by bias/‖w‖² moves w·β by exactly that.
 */
function shiftReward(parameters: Parameters, bias: number): void {
  const head = parameters.views['score.weight'];
  const shift = parameters.views['transformer.ln_f.bias'];
  const squared = head.reduce((sum, weight) => sum + weight * weight, 0);
  for (let i = 0; i < shift.length; i++) shift[i] += (bias * head[i]) / squared;
}

function tokensOf(rankings: readonly EncodedRanking[]): number {
  return rankings.reduce(
    (sum, { sequences }) => sum + sequences.reduce((inner, sequence) => inner + sequence.length, 0),
    0,
  );
}
