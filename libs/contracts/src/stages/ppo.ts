import { z } from 'zod';
import { checkpointId, datasetId, neededId } from '../ids';
import {
  activationCheckpointing,
  fraction,
  microbatchSize,
  optimiser,
  positiveInt,
  precision,
  sampling,
} from './common';

const fixedKl = z.strictObject({ kind: z.literal('fixed') });
const adaptiveKl = z.strictObject({
  kind: z.literal('adaptive'),
  target: z.number().positive().describe('KL per answer, in nats, that the controller steers to.'),
  horizon: positiveInt.default(10_000).describe('Episodes over which the coefficient may change by its full rate.'),
});

const functionCall = {
  kind: z.literal('function'),
  name: z.string().min(1).max(60).describe('A reward function that the ppo service has: `GET /v1/reward-functions`.'),
};
const endpointCall = {
  kind: z.literal('http'),
  url: z
    .url({ protocol: /^https?$/ })
    .refine(
      (url) => !URL.canParse(url) || `${new URL(url).username}${new URL(url).password}` === '',
      'the URL must hold no user name or password: everybody who reaches the gateway can read configs',
    )
    .describe('Gets the answers as JSON by POST and gives `{ "rewards": [number, …] }`.'),
  // Node's fetch waits 300 s for headers, whatever it is told.
  timeoutSeconds: z.number().positive().max(300).default(30).describe('Time for one call.'),
  retries: z.int().min(0).max(20).default(3).describe('Further tries of a call that failed or took too long.'),
};
const weight = z.number().default(1).describe('Its share in the sum of all rewards; negative for a penalty.');

/** A reward that is no reward model: a function of the ppo service, or an HTTP endpoint. */
export const rewardFunction = z.discriminatedUnion('kind', [
  z.strictObject({ ...functionCall, weight }),
  z.strictObject({ ...endpointCall, weight }),
]);
export type RewardFunctionConfig = z.infer<typeof rewardFunction>;

/** A judge whose scores are never trained on. */
const heldOutJudge = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('model'),
    checkpoint: checkpointId.describe('A reward model that PPO does not see.'),
  }),
  z.strictObject(functionCall),
  z.strictObject(endpointCall),
]);

const monitor = z.strictObject({
  heldOut: heldOutJudge
    .optional()
    .describe('Scores the same answers without being trained on: the only sure sign of over-optimisation.'),
  every: positiveInt.default(5).describe('Iterations between two looks of the held-out judge.'),
  baseline: positiveInt.default(3).describe('First iterations, whose means the drifts are measured from.'),
  lengthDrift: z.number().gt(1).default(1.5).describe('Alarm when answers grow longer, or shorter, by this factor.'),
  entropyFraction: fraction.default(0.1).describe('Alarm when the entropy falls to this share of the baseline.'),
  duplicateFraction: fraction
    .default(0.5)
    .describe('Alarm when this share of a batch repeats an answer to another prompt, beyond the baseline’s share.'),
  eosFraction: fraction.default(0.8).describe('Alarm when fewer answers end by themselves.'),
  heldOutDrop: z
    .number()
    .positive()
    .default(0.5)
    .describe(
      'Alarm when the held-out score has fallen this far below its best while the reward has risen; in standard deviations of the first scores.',
    ),
  onAlarm: z
    .enum(['log', 'pause', 'stop'])
    .default('log')
    .describe('Also pause the job for a person to look, or stop it with OVEROPTIMISED and keep the last good policy.'),
});
export type MonitorConfig = z.infer<typeof monitor>;

const limits = z.strictObject({
  kl: z.number().positive().default(100).describe('Stop with KL_EXPLODED above so many nats per answer.'),
  entropy: z
    .number()
    .min(0)
    .default(1e-4)
    .describe('Stop with ENTROPY_COLLAPSED when it falls below so many nats per token; 0 never stops.'),
  equalRewards: positiveInt
    .default(3)
    .describe('Stop with REWARDS_EQUAL after so many iterations in which every answer got the same score.'),
});
export type LimitsConfig = z.infer<typeof limits>;

export const ppoConfig = z
  .strictObject({
    policy: checkpointId.describe('SFT policy: the start and, frozen, the reference.'),
    reward: checkpointId
      .optional()
      .describe('Reward model; the value network starts from it too. Not needed with reward functions.'),
    rewardWeight: z.number().positive().default(1).describe('Multiplies the reward model’s score.'),
    pessimism: z
      .number()
      .min(0)
      .default(0)
      .describe('Of an ensemble, the reward is the members’ mean less so many of their standard deviations.'),
    rewardFunctions: z
      .array(rewardFunction)
      .max(16)
      .default([])
      .describe('Rewards that are functions, added to the reward model’s score or instead of it.'),
    prompts: datasetId.describe('Dataset of kind `prompts`.'),
    maxPromptTokens: positiveInt
      .optional()
      .describe('Leave out prompts of more tokens; without it every prompt must fit the context with an answer.'),
    valueStart: z
      .enum(['reward', 'policy'])
      .optional()
      .describe(
        'What the value network starts from: the reward model, or the policy’s trunk with a head of zeros. The reward model where there is one.',
      ),
    ...optimiser,
    learningRate: optimiser.learningRate.default(1e-4).describe('Peak learning rate of the policy.'),
    valueLearningRate: z
      .number()
      .positive()
      .optional()
      .describe('Peak learning rate of the value network; the policy’s if absent.'),
    warmupIterations: z.int().min(0).default(10).describe('Iterations of linear warm-up from a tenth of the peak.'),
    learningRateDecay: z
      .enum(['linear', 'constant'])
      .default('linear')
      .describe('After the warm-up: linearly to 0, or constant.'),
    iterations: positiveInt.max(1_000_000).default(60).describe('Rollout-and-update rounds.'),
    batchSize: positiveInt.max(65_536).default(128).describe('Episodes per iteration.'),
    minibatchSize: positiveInt.max(65_536).default(32).describe('Episodes per optimiser step.'),
    microbatchSize,
    activationCheckpointing,
    precision,
    epochs: positiveInt.max(100).default(2).describe('Passes over a batch; 1 in InstructGPT, 4 in Stiennon et al.'),
    ...sampling,
    temperature: z
      .number()
      .positive()
      .max(10)
      .default(1)
      .describe('Divides the logits in every log-prob: rollout, training and reference.'),
    maxNewTokens: sampling.maxNewTokens.default(32),
    klCoefficient: z
      .number()
      .positive('β must be above 0: where leaving the reference costs nothing, PPO learns to fool the reward')
      .default(0.02)
      .describe('β, the price of a nat of KL to the reference; 0.02 in InstructGPT.'),
    klController: z
      .discriminatedUnion('kind', [fixedKl, adaptiveKl])
      .default({ kind: 'fixed' })
      .describe('How β changes.'),
    klEstimator: z
      .enum(['k1', 'k2', 'k3'])
      .default('k1')
      .describe('Per-token estimator of the KL penalty; k1 is log π − log π_ref.'),
    gamma: fraction.default(1).describe('Discount.'),
    lambda: fraction.default(0.95).describe('GAE’s λ; 0.95 in Stiennon et al.'),
    clipRange: z
      .number()
      .gt(0, 'a clip range of 0 or less would allow no step at all')
      .lt(1, 'a clip range of 1 or more would allow a probability to fall to 0, which clips nothing')
      .default(0.2)
      .describe('Clips the probability ratio to 1 ± this.'),
    valueClipRange: z.number().positive().default(0.2).describe('Clips the change of a value prediction.'),
    valueCoefficient: z.number().positive().default(0.1).describe('Weight of the value loss.'),
    whitenRewards: z
      .boolean()
      .default(false)
      .describe('Divide the rewards of a batch by their standard deviation, keeping the mean.'),
    whitenAdvantages: z.boolean().default(true).describe('Whiten the advantages of a batch.'),
    missingEosReward: z
      .number()
      .nullable()
      .default(-1)
      .describe('Score of an answer that never ends; null scores it like any other.'),
    ptx: z
      .strictObject({
        dataset: neededId(
          'PPO-ptx needs a dataset of text, such as the pretraining corpus: without it there is nothing to mix in.',
        ).describe('Dataset of kind `text`, whose gradients are mixed in.'),
        coefficient: z.number().positive().default(27.8).describe('γ of PPO-ptx; 27.8 in InstructGPT.'),
        batchSize: positiveInt.max(4096).default(8).describe('Pretraining sequences per optimiser step.'),
      })
      .optional()
      .describe('PPO-ptx: mixes pretraining gradients into every step.'),
    averageDecay: z
      .number()
      .gt(0)
      .lt(1)
      .nullable()
      .default(0.992)
      .describe(
        'Decay of the moving average of the policy’s weights, published beside it as `<job id>-ema`; 0.992 in InstructGPT, null for none.',
      ),
    monitor: monitor.prefault({}).describe('Watches for over-optimisation of the reward.'),
    limits: limits.prefault({}).describe('Where a run is broken and stops, keeping its last good policy.'),
  })
  .superRefine((config, context) => {
    if (config.reward === undefined && config.rewardFunctions.length === 0) {
      context.addIssue({
        code: 'custom',
        path: ['reward'],
        message: 'there is no reward: give a reward model, or reward functions',
        params: { hint: 'Give `reward`, the id of a reward model, or at least one of `rewardFunctions`.' },
      });
    }
    if (config.reward === undefined && config.valueStart === 'reward') {
      context.addIssue({
        code: 'custom',
        path: ['valueStart'],
        message: 'there is no reward model for the value network to start from',
        params: { hint: 'Give `reward`, or let the value network start from the policy.' },
      });
    }
    if (config.reward === undefined && config.pessimism > 0) {
      context.addIssue({
        code: 'custom',
        path: ['pessimism'],
        message: 'it weighs how far an ensemble’s members lie apart, and there is no reward model',
        params: { hint: 'Give `reward`, an ensemble of reward models, or leave it out.' },
      });
    }
    const same = trainedJudge(config);
    if (same !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['monitor', 'heldOut', same],
        message: 'a held-out judge must not be what PPO is trained on, or it rises with the reward whatever happens',
        params: {
          hint: 'Name another: a reward model of other rankings or another seed, or a function that is no reward.',
        },
      });
    }
    if (config.minibatchSize > config.batchSize || config.batchSize % config.minibatchSize !== 0) {
      context.addIssue({
        code: 'custom',
        path: ['minibatchSize'],
        message: 'it must divide batchSize',
        params: { hint: `Give a divisor of ${config.batchSize}.` },
      });
    }
    if (config.warmupIterations >= config.iterations) {
      context.addIssue({
        code: 'custom',
        path: ['warmupIterations'],
        message: 'the warm-up must end before the last iteration',
        params: { hint: `Give fewer than ${config.iterations}, or more iterations.` },
      });
    }
    if (config.topK !== 0 || config.topP !== 1) {
      context.addIssue({
        code: 'custom',
        path: [config.topK !== 0 ? 'topK' : 'topP'],
        message: 'rollouts sample from the whole distribution (topK 0, topP 1), or the ratio of PPO would be wrong',
        params: { hint: 'Leave it out. Completions and evaluations may sample otherwise.' },
      });
    }
  });
export type PpoConfig = z.infer<typeof ppoConfig>;

/** The field by which the held-out judge is one of the rewards that PPO is trained on, if it is. */
function trainedJudge(config: {
  readonly reward?: string;
  readonly rewardFunctions: readonly RewardFunctionConfig[];
  readonly monitor: MonitorConfig;
}): string | undefined {
  const { heldOut } = config.monitor;
  switch (heldOut?.kind) {
    case undefined:
      return undefined;
    case 'model':
      return heldOut.checkpoint === config.reward ? 'checkpoint' : undefined;
    case 'function':
      return config.rewardFunctions.some((one) => one.kind === 'function' && one.name === heldOut.name)
        ? 'name'
        : undefined;
    case 'http':
      return config.rewardFunctions.some((one) => one.kind === 'http' && one.url === heldOut.url) ? 'url' : undefined;
    default:
      return heldOut satisfies never;
  }
}
