/**
 * PPO on a reward, with a KL penalty to the SFT policy (InstructGPT §3.5, appendix C.4; Huang et al. 2023).
 *
 * Each iteration:
 *  1. draw a batch of prompts,
 *  2. sample one response to each from the policy,
 *  3. score the responses, and measure log-probs under policy and reference, and values,
 *  4. shape rewards and estimate advantages,
 *  5. look whether the run is still sound,
 *  6. for each epoch and minibatch, one clipped step of the policy (with PPO-ptx, the pretraining gradient added) and one
 *     of the value network,
 *  7. log everything, and let the KL controller choose the next coefficient.
 *
 * Policy and value network are separate; the value network starts from the reward model where there is one. No dropout
 * anywhere. The moving average of the policy's weights is published beside it.
 * Leaves out: shared trunks, several rollouts per prompt, and resuming a killed run from its last iteration.
 */
import {
  policyStatistics,
  rolloutStatistics,
  shuffledMinibatches,
  updateAverage,
  valueStatistics,
} from '@pavlov/algorithms';
import { averageIdOf, type PpoConfig } from '@pavlov/contracts';
import { batchOrder } from '@pavlov/datasets';
import { createGenerator, initParameters } from '@pavlov/model';
import { randomStream } from '@pavlov/random';
import { type Train } from '@pavlov/service-kit';
import { copyParameters, type Parameters } from '@pavlov/tensor';
import {
  createLearner,
  createThroughput,
  loadCheckpoint,
  loadRewardModel,
  openEngine,
  openPretrainingMix,
  publishCheckpoint,
  type LoadedCheckpoint,
} from '@pavlov/training';
import { openHeldOutJudge, openTrainedReward } from './judges';
import { compilePolicy, compileValue, type Choices } from './networks';
import { readPrompts } from './prompts';
import { answersOf, estimateAdvantages, layOutEpisodes, takeRows, type Episodes, type Experience } from './rollout';
import { klController, learningRates } from './schedules';
import { openWatch } from './watch';

export const train: Train<'ppo'> = async (context) => {
  const { config, seed, store } = context;
  using engine = await openEngine({ threads: context.threads, precision: config.precision });

  const policy = await loadCheckpoint(store, { id: config.policy, head: 'lm' });
  const { tokenizer } = policy;
  const rewardModel = config.reward === undefined ? undefined : await loadRewardModel(store, config.reward);
  const reference = copyParameters(policy.parameters);
  const average = config.averageDecay === null ? undefined : copyParameters(policy.parameters);
  const value = startOfValue({ config, policy, rewardModel, seed });
  const policyLearner = createLearner(policy.parameters, config);
  const valueLearner = createLearner(value.parameters, config);

  const { prompts, maxPromptTokens } = await readPrompts(context, policy);
  const columns = maxPromptTokens + config.maxNewTokens;
  const grid = { rows: config.minibatchSize, columns, states: config.maxNewTokens };
  const generator = await createGenerator(engine, {
    config: policy.model,
    batch: config.batchSize,
    maxPromptTokens,
    maxNewTokens: config.maxNewTokens,
  });
  const reward = await openTrainedReward({ engine, context, columns, rewardModel });
  const watch = openWatch(context, {
    policy,
    heldOut: await openHeldOutJudge({ engine, context, columns }),
  });
  const pretraining =
    config.ptx &&
    (await openPretrainingMix(engine, {
      store,
      policy,
      mix: config.ptx,
      seed,
      activationCheckpointing: config.activationCheckpointing,
    }));
  const policyNetwork = compilePolicy(engine, {
    model: policy.model,
    layout: policy.parameters.layout,
    grid,
    microbatchSize: config.microbatchSize,
    activationCheckpointing: config.activationCheckpointing,
    temperature: config.temperature,
    clipRange: config.clipRange,
  });
  const valueNetwork = compileValue(engine, {
    model: value.model,
    layout: value.parameters.layout,
    grid,
    microbatchSize: config.microbatchSize,
    activationCheckpointing: config.activationCheckpointing,
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

  try {
    for (let iteration = 0; iteration < config.iterations; iteration++) {
      await context.checkpoint();

      // 1.
      const drawnRows = drawPrompts(iteration, config.batchSize);
      const drawn = drawnRows.map((row) => prompts[row]);

      // 2.
      const rolloutClock = createThroughput();
      const generation = await generator.generate({
        parameters: policy.parameters,
        prompts: drawn.map(({ tokens }) => tokens),
        temperature: config.temperature,
        eosId: tokenizer.eosId,
        stopAtEos: true,
        seed,
        purpose: 'ppo/rollout',
        step: iteration,
      });
      rolloutClock.add(generation.tokens);
      const rolloutRate = rolloutClock.lap();
      const episodes = layOutEpisodes({
        prompts: drawn.map(({ tokens }) => tokens),
        generation,
        columns,
        padId: tokenizer.padId,
      });

      // 3.
      const trainingClock = createThroughput();
      const minibatchesOf = (epoch: number): number[][] =>
        shuffledMinibatches({
          count: config.batchSize,
          size: config.minibatchSize,
          random: randomStream(seed, 'ppo/minibatches', [iteration, epoch]),
        });
      // As the first epoch trains: what is computed of the same rows at the same shapes is the same to the last bit.
      const byMinibatch = (measure: (minibatch: Choices) => Promise<Float32Array>): Promise<Float32Array> =>
        measureByMinibatches(episodes, minibatchesOf(0), measure);
      const answered = { sequences: episodes.sequences, answers: answersOf({ drawn, generation, tokenizer }) };
      const { scores, figures: rewardFigures } = await reward(answered);
      const measured = {
        scores,
        logprobs: await byMinibatch((minibatch) => policyNetwork.logprobs(policy.parameters, minibatch)),
        referenceLogprobs: await byMinibatch((minibatch) => policyNetwork.logprobs(reference, minibatch)),
        values: await byMinibatch((minibatch) => valueNetwork.values(valueLearner.parameters, minibatch)),
      };

      // 4.
      const experience = estimateAdvantages(episodes, measured, { ...config, klCoefficient });

      // 5.
      const rollout = rolloutStatistics({
        ...experience,
        mask: episodes.mask,
        finished: episodes.finished,
        coefficient: klCoefficient,
      });
      const rolloutFigures = {
        'objective/kl': rollout.kl,
        'objective/entropy': rollout.entropy,
        'objective/scores': rollout.scores,
        'objective/rlhf_reward': rollout.rlhfReward,
        'objective/kl_coefficient': klCoefficient,
        ...rewardFigures,
        'rollout/eos_fraction': rollout.eosFraction,
        'rollout/response_length': rollout.responseLength,
        'rollout/tokens_per_second': rolloutRate,
      };
      const watchFigures = await watch.look({
        iteration,
        answered,
        prompts: drawnRows,
        generation,
        rawScores: scores,
        scores: experience.scores,
        rollout,
        figures: rolloutFigures,
      });

      // 6.
      const updateFigures: Record<string, number>[] = [];
      for (let epoch = 0; epoch < config.epochs; epoch++) {
        for (const rows of minibatchesOf(epoch)) {
          await context.checkpoint();
          const minibatch = takeMinibatch(episodes, experience, rows);
          const policyResult = await policyNetwork.gradients(policyLearner, minibatch);
          const mixed = await pretraining?.add(policyLearner, updates);
          const { gradientNorm: policyNorm } = policyLearner.update({
            learningRate: policyRate(iteration),
            losses: { 'policy loss': policyResult.loss, ...(mixed && { 'pretraining loss': mixed.loss }) },
          });
          if (average !== undefined && config.averageDecay !== null)
            updateAverage({ average: average.data, parameters: policy.parameters.data, decay: config.averageDecay });
          const valueResult = await valueNetwork.gradients(valueLearner, minibatch);
          const { gradientNorm: valueNorm } = valueLearner.update({
            learningRate: valueRate(iteration),
            losses: { 'value loss': valueResult.loss },
          });
          updates += 1;

          const statistics = policyStatistics({ ...minibatch, ...policyResult, clipRange: config.clipRange });
          const valueFigures = valueStatistics({ ...minibatch, ...valueResult, clipRange: config.valueClipRange });
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
            'train/padding': policyResult.padding,
            ...(mixed && { 'loss/ptx': mixed.loss, 'ptx/gradient_ratio': mixed.gradientRatio }),
          });
        }
      }

      // 7.
      const episodeTokens = episodes.sequences.reduce((sum, sequence) => sum + sequence.length, 0);
      trainingClock.add(episodeTokens * config.epochs);
      throughput.add(generation.tokens + episodeTokens * config.epochs);
      last = {
        ...rolloutFigures,
        ...watchFigures,
        ...meanOf(updateFigures),
        'policy/first_minibatch_approxkl': updateFigures[0]['policy/approxkl'],
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
  } catch (error) {
    throw await watch.keepLastGood(error);
  }

  const metrics = {
    reward: last['objective/scores'],
    kl: last['objective/kl'],
    entropy: last['objective/entropy'],
    eosFraction: last['rollout/eos_fraction'],
    alarms: watch.alarms(),
  };
  if (average !== undefined)
    await publishCheckpoint(context, {
      ...policy,
      id: averageIdOf(context.job.jobId),
      kind: 'policy',
      parameters: average,
      metrics,
    });
  await publishCheckpoint(context, { ...policy, kind: 'policy', metrics }); // last: the job is done when its own is there
  return { metrics, tokens: throughput.tokens };
};

/** The value network's start: a copy of the reward model, or the policy's trunk with a head of zeros (Huang et al. 2023). */
function startOfValue(input: {
  config: PpoConfig;
  policy: LoadedCheckpoint;
  rewardModel?: LoadedCheckpoint;
  seed: number;
}): { model: LoadedCheckpoint['model']; parameters: Parameters } {
  const { config, policy, rewardModel, seed } = input;
  if (rewardModel !== undefined && config.valueStart !== 'policy')
    return { model: rewardModel.model, parameters: copyParameters(rewardModel.parameters) };
  const parameters = initParameters(policy.model, 'scalar', seed);
  for (const [name, view] of Object.entries(parameters.views)) {
    if (name === 'score.weight') view.fill(0);
    else view.set(policy.parameters.views[name]);
  }
  return { model: policy.model, parameters };
}

/** Runs `measure` over minibatches and puts the results together to a flat [B, T] array. */
async function measureByMinibatches(
  { rows, columns, ...episodes }: Episodes,
  minibatches: readonly (readonly number[])[],
  measure: (minibatch: Choices) => Promise<Float32Array>,
): Promise<Float32Array> {
  const joined = new Float32Array(rows * columns);
  for (const own of minibatches) {
    const taken = { rows: own, columns };
    const measured = await measure({
      tokens: takeRows(episodes.tokens, taken),
      targets: takeRows(episodes.targets, taken),
      mask: takeRows(episodes.mask, taken),
    });
    own.forEach((row, index) => joined.set(measured.subarray(index * columns, (index + 1) * columns), row * columns));
  }
  return joined;
}

function takeMinibatch(episodes: Episodes, experience: Experience, rows: readonly number[]) {
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
