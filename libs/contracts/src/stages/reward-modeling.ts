import { z } from 'zod';
import { checkpointId, datasetId } from '../ids';
import { fraction, heldOutFraction, optimiser, positiveInt } from './common';

export const rewardModelingConfig = z.strictObject({
  policy: checkpointId.describe('SFT policy: its trunk starts the reward model.'),
  rankings: datasetId.describe('Dataset of kind `rankings`.'),
  demonstrations: datasetId
    .optional()
    .describe('Dataset of kind `demonstrations`: the reward is shifted so that they score 0 on average.'),
  ...optimiser,
  learningRate: optimiser.learningRate.default(2e-4).describe('Peak learning rate.'),
  epochs: positiveInt
    .max(100)
    .default(1)
    .describe('Passes over the rankings; 1 in InstructGPT: a second one overfits.'),
  batchSize: positiveInt
    .max(1024)
    .default(16)
    .describe('Prompts per step; all pairs of a prompt stay in one batch element.'),
  warmupSteps: z.int().min(0).default(0).describe('Steps of linear warm-up.'),
  finalLearningRateFraction: fraction.default(0.1).describe('Where the cosine ends, as a share of the peak.'),
  heldOutFraction: heldOutFraction.default(0.1),
});
export type RewardModelingConfig = z.infer<typeof rewardModelingConfig>;
