import { z } from 'zod';
import { checkpointId, datasetId } from '../ids';
import { fraction, optimiser, positiveInt, sampling } from './common';

const fixedKl = z.strictObject({ kind: z.literal('fixed') });
const adaptiveKl = z.strictObject({
  kind: z.literal('adaptive'),
  target: z.number().positive().describe('KL per answer, in nats, that the controller steers to.'),
  horizon: positiveInt.default(10_000).describe('Episodes over which the coefficient may change by its full rate.'),
});

export const ppoConfig = z
  .strictObject({
    policy: checkpointId.describe('SFT policy: the start and, frozen, the reference.'),
    reward: checkpointId.describe('Reward model; the value network starts from it too.'),
    prompts: datasetId.describe('Dataset of kind `prompts`.'),
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
      .positive()
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
    clipRange: z.number().gt(0).lt(1).default(0.2).describe('Clips the probability ratio to 1 ± this.'),
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
        dataset: datasetId.describe('Dataset of kind `text`.'),
        coefficient: z.number().positive().default(27.8).describe('γ of PPO-ptx; 27.8 in InstructGPT.'),
        batchSize: positiveInt.max(4096).default(8).describe('Pretraining sequences per optimiser step.'),
      })
      .optional()
      .describe('PPO-ptx: mixes pretraining gradients into every step.'),
  })
  .superRefine((config, context) => {
    if (config.minibatchSize > config.batchSize || config.batchSize % config.minibatchSize !== 0) {
      context.addIssue({ code: 'custom', path: ['minibatchSize'], message: 'it must divide batchSize' });
    }
    if (config.warmupIterations >= config.iterations) {
      context.addIssue({
        code: 'custom',
        path: ['warmupIterations'],
        message: 'the warm-up must end before the last iteration',
      });
    }
    if (config.topK !== 0 || config.topP !== 1) {
      context.addIssue({
        code: 'custom',
        path: [config.topK !== 0 ? 'topK' : 'topP'],
        message: 'rollouts sample from the whole distribution (topK 0, topP 1), or the ratio of PPO would be wrong',
      });
    }
  });
export type PpoConfig = z.infer<typeof ppoConfig>;
