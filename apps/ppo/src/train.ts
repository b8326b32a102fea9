/**
 * PPO on a reward model, with a KL penalty to the SFT policy (InstructGPT §3.5, appendix C.4; Huang et al. 2023).
 *
 * Each iteration:
 *  1. draw a batch of prompts,
 *  2. sample one response to each from the policy,
 *  3. measure log-probs under policy and reference, values, and reward-model scores,
 *  4. shape rewards and estimate advantages,
 *  5. for each epoch and minibatch, one clipped step of the policy (with PPO-ptx, the pretraining gradient added) and one
 *     of the value network,
 *  6. log everything, and let the KL controller choose the next coefficient.
 *
 * Policy and value network are separate; the value network starts from the reward model. No dropout anywhere.
 * Leaves out: shared trunks, several rollouts per prompt, and resuming a killed run from its last iteration.
 */
import {
  adaptiveKlOverHorizon,
  constantRate,
  fixedKl,
  linearDecay,
  policyStatistics,
  rolloutStatistics,
  shuffledMinibatches,
  valueStatistics,
  warmUp,
  type KlController,
  type Schedule,
} from '@pavlov/algorithms';
import { PavlovError, type PpoConfig } from '@pavlov/contracts';
import { batchOrder } from '@pavlov/datasets';
import { createRewardScorer, createGenerator } from '@pavlov/model';
import { randomStream } from '@pavlov/random';
import { type Train } from '@pavlov/service-kit';
import { copyParameters, createEngine } from '@pavlov/tensor';
import {
  createLearner,
  createThroughput,
  loadCheckpoint,
  openTextBatches,
  publishCheckpoint,
  readRows,
} from '@pavlov/training';
import { compilePolicy, compileValue } from './networks';
import { estimateAdvantages, layOutEpisodes, takeRows, type Episodes, type Experience } from './rollout';

export const train: Train<'ppo'> = async (context) => {
  const { config, seed, store } = context;
  const engine = await createEngine({ threads: context.threads });

  const policy = await loadCheckpoint(store, { id: config.policy, head: 'lm' });
  const reward = await loadCheckpoint(store, { id: config.reward ?? '', head: 'scalar' });
  const { tokenizer } = policy;
  const reference = copyParameters(policy.parameters);
  const policyLearner = createLearner(policy.parameters, config);
  const valueLearner = createLearner(copyParameters(reward.parameters), config);

  const rows = await readRows(store, { id: config.prompts, kind: 'prompts' });
  const prompts = rows.map((row) => tokenizer.encodePrompt(row.prompt));
  const maxPromptTokens = Math.max(...prompts.map((prompt) => prompt.length));
  const columns = maxPromptTokens + config.maxNewTokens;
  if (columns > policy.model.contextLength)
    throw contextOverflow({ maxPromptTokens, config, contextLength: policy.model.contextLength });

  const grid = { rows: config.minibatchSize, columns };
  const generator = await createGenerator(engine, {
    config: policy.model,
    batch: config.batchSize,
    maxPromptTokens,
    maxNewTokens: config.maxNewTokens,
  });
  const scorer = await createRewardScorer(engine, {
    config: reward.model,
    batch: config.minibatchSize,
    length: columns,
  });
  const pretraining =
    config.ptx &&
    (await openTextBatches(store, {
      id: config.ptx.dataset,
      tokenizer,
      rows: config.ptx.batchSize,
      columns: policy.model.contextLength,
      seed,
    }));
  const policyNetwork = await compilePolicy(engine, {
    model: policy.model,
    layout: policy.parameters.layout,
    grid,
    temperature: config.temperature,
    clipRange: config.clipRange,
    ptx: config.ptx && {
      coefficient: config.ptx.coefficient,
      grid: { rows: config.ptx.batchSize, columns: policy.model.contextLength },
    },
  });
  const valueNetwork = await compileValue(engine, {
    model: reward.model,
    layout: reward.parameters.layout,
    grid,
    clipRange: config.valueClipRange,
    coefficient: config.valueCoefficient,
  });
  const drawPrompts = batchOrder({ seed, purpose: 'ppo/prompts', count: prompts.length });
  const policyRate = learningRates(config.learningRate, config);
  const valueRate = learningRates(config.valueLearningRate ?? config.learningRate, config);
  const nextCoefficient = klController(config);
  const throughput = createThroughput();
  let klCoefficient = config.klCoefficient;
  let updates = 0;
  let last: Record<string, number> = {};

  for (let iteration = 0; iteration < config.iterations; iteration++) {
    await context.checkpoint();

    // 1.
    const drawn = drawPrompts(iteration, config.batchSize).map((index) => prompts[index]);

    // 2.
    const rolloutClock = createThroughput();
    const generation = await generator.generate({
      parameters: policy.parameters,
      prompts: drawn,
      temperature: config.temperature,
      eosId: tokenizer.eosId,
      stopAtEos: true,
      seed,
      purpose: 'ppo/rollout',
      step: iteration,
    });
    rolloutClock.add(generation.tokens);
    const rolloutRate = rolloutClock.lap();
    const episodes = layOutEpisodes({ prompts: drawn, generation, columns, padId: tokenizer.padId });

    // 3.
    const trainingClock = createThroughput();
    const bySlice = (
      measure: (slice: { tokens: Int32Array; targets: Int32Array }) => Promise<Float32Array>,
    ): Promise<Float32Array> => measureBySlices(episodes, config.minibatchSize, measure);
    const measured = {
      logprobs: await bySlice((slice) => policyNetwork.logprobs({ parameters: policy.parameters, ...slice })),
      referenceLogprobs: await bySlice((slice) => policyNetwork.logprobs({ parameters: reference, ...slice })),
      values: await bySlice(({ tokens }) => valueNetwork.values({ parameters: valueLearner.parameters, tokens })),
      scores: await scorer.score({ parameters: reward.parameters, sequences: episodes.sequences }),
    };

    // 4.
    const experience = estimateAdvantages(episodes, measured, { ...config, klCoefficient });

    // 5.
    const updateFigures: Record<string, number>[] = [];
    for (let epoch = 0; epoch < config.epochs; epoch++) {
      const random = randomStream(seed, 'ppo/minibatches', [iteration, epoch]);
      for (const minibatch of shuffledMinibatches({ count: config.batchSize, size: config.minibatchSize, random })) {
        await context.checkpoint();
        const slice = sliceOf(episodes, experience, minibatch);
        const policyResult = await policyNetwork.gradients(policyLearner, slice, pretraining?.batchAt(updates));
        const { gradientNorm: policyNorm } = policyLearner.update({
          learningRate: policyRate(iteration),
          losses: { 'policy loss': policyResult.loss },
        });
        const valueResult = await valueNetwork.gradients(valueLearner, slice);
        const { gradientNorm: valueNorm } = valueLearner.update({
          learningRate: valueRate(iteration),
          losses: { 'value loss': valueResult.loss },
        });
        updates += 1;

        const statistics = policyStatistics({ ...slice, ...policyResult, clipRange: config.clipRange });
        const valueFigures = valueStatistics({ ...slice, ...valueResult, clipRange: config.valueClipRange });
        updateFigures.push({
          'policy/approxkl': statistics.approxkl,
          'policy/clipfrac': statistics.clipfrac,
          'policy/entropy': statistics.entropy,
          'policy/ratio_mean': statistics.ratioMean,
          'policy/ratio_variance': statistics.ratioVariance,
          'policy/gradient_norm': policyNorm,
          'loss/policy': policyResult.loss,
          'loss/value': valueResult.loss,
          'val/clipfrac': valueFigures.clipfrac,
          'val/explained_variance': valueFigures.explainedVariance,
          'val/gradient_norm': valueNorm,
          ...(policyResult.ptxLoss === undefined ? {} : { 'loss/ptx': policyResult.ptxLoss }),
        });
      }
    }

    // 6.
    const rollout = rolloutStatistics({
      ...experience,
      mask: episodes.mask,
      finished: episodes.finished,
      coefficient: klCoefficient,
    });
    const episodeTokens = episodes.sequences.reduce((sum, sequence) => sum + sequence.length, 0);
    trainingClock.add(episodeTokens * config.epochs);
    throughput.add(generation.tokens + episodeTokens * config.epochs);
    last = {
      'objective/kl': rollout.kl,
      'objective/entropy': rollout.entropy,
      'objective/scores': rollout.scores,
      'objective/rlhf_reward': rollout.rlhfReward,
      'objective/kl_coefficient': klCoefficient,
      ...meanOf(updateFigures),
      'policy/first_minibatch_approxkl': updateFigures[0]['policy/approxkl'],
      'rollout/eos_fraction': rollout.eosFraction,
      'rollout/response_length': rollout.responseLength,
      'rollout/tokens_per_second': rolloutRate,
      'train/tokens_per_second': trainingClock.lap(),
      'train/learning_rate': policyRate(iteration),
      episodes: (iteration + 1) * config.batchSize,
    };
    context.metrics(iteration, last);
    context.progress({
      fraction: (iteration + 1) / config.iterations,
      phase: 'rollouts and updates',
      step: iteration + 1,
      steps: config.iterations,
      tokensPerSecond: throughput.lap(),
      headline: { name: 'reward', value: rollout.scores },
    });
    klCoefficient = nextCoefficient({ coefficient: klCoefficient, kl: rollout.kl });
  }

  const metrics = {
    reward: last['objective/scores'],
    kl: last['objective/kl'],
    entropy: last['objective/entropy'],
    eosFraction: last['rollout/eos_fraction'],
  };
  await publishCheckpoint(context, { kind: 'policy', ...policy, metrics });
  engine.dispose();
  return { metrics, tokens: throughput.tokens };
};

/** From a tenth of the peak up to it (InstructGPT C.4), then as configured. */
function learningRates(peak: number, config: PpoConfig): Schedule {
  const steps = config.iterations - config.warmupIterations;
  const decay = { linear: () => linearDecay({ peak, steps }), constant: () => constantRate(peak) }[
    config.learningRateDecay
  ]();
  return warmUp({ steps: config.warmupIterations, from: 0.1, then: decay });
}

function klController({ klController, batchSize }: PpoConfig): KlController {
  switch (klController.kind) {
    case 'fixed':
      return fixedKl;
    case 'adaptive':
      return adaptiveKlOverHorizon({ ...klController, episodes: batchSize });
    default:
      return klController satisfies never;
  }
}

/** Runs `measure` over slices of b episodes and joins the results to a flat [B, T] array. */
async function measureBySlices(
  { rows, columns, tokens, targets }: Episodes,
  sliceRows: number,
  measure: (slice: { tokens: Int32Array; targets: Int32Array }) => Promise<Float32Array>,
): Promise<Float32Array> {
  const joined = new Float32Array(rows * columns);
  const size = sliceRows * columns;
  for (let start = 0; start < joined.length; start += size) {
    joined.set(
      await measure({ tokens: tokens.subarray(start, start + size), targets: targets.subarray(start, start + size) }),
      start,
    );
  }
  return joined;
}

function sliceOf(episodes: Episodes, experience: Experience, rows: readonly number[]) {
  const take = <A extends Float32Array | Int32Array>(values: A): A =>
    takeRows(values, { rows, columns: episodes.columns });
  return {
    tokens: take(episodes.tokens),
    targets: take(episodes.targets),
    mask: take(episodes.mask),
    oldLogprobs: take(experience.logprobs),
    advantages: take(experience.advantages),
    oldValues: take(experience.values),
    returns: take(experience.returns),
  };
}

function meanOf(records: readonly Record<string, number>[]): Record<string, number> {
  const names = Object.keys(records[0]);
  return Object.fromEntries(
    names.map((name) => [name, records.reduce((sum, record) => sum + record[name], 0) / records.length]),
  );
}

function contextOverflow(input: { maxPromptTokens: number; config: PpoConfig; contextLength: number }): PavlovError {
  const { maxPromptTokens, config, contextLength } = input;
  return new PavlovError({
    code: 'SEQUENCE_TOO_LONG',
    field: 'maxNewTokens',
    message: `The longest prompt has ${maxPromptTokens} tokens; with ${config.maxNewTokens} new ones it exceeds the context of ${contextLength}.`,
    hint: `Lower maxNewTokens to ${contextLength - maxPromptTokens}, shorten the prompts, or pretrain with a longer context.`,
  });
}
