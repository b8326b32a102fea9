import { z } from 'zod';
import { checkpointId, datasetId } from '../ids';
import { fraction, heldOutFraction, optimiser, positiveInt } from './common';

export const sftConfig = z.strictObject({
  policy: checkpointId.describe('Policy to start from.'),
  dataset: datasetId.describe('Dataset of kind `demonstrations`.'),
  ...optimiser,
  learningRate: optimiser.learningRate.default(3e-4).describe('Peak learning rate.'),
  epochs: positiveInt.max(1000).default(16).describe('Passes over the demonstrations; 16 in InstructGPT.'),
  batchSize: positiveInt.max(4096).default(32).describe('Demonstrations per step.'),
  warmupSteps: z.int().min(0).default(0).describe('Steps of linear warm-up; none in InstructGPT.'),
  finalLearningRateFraction: fraction.default(0.1).describe('Where the cosine ends, as a share of the peak.'),
  heldOutFraction: heldOutFraction.default(0.1),
  pretrainingMix: z
    .strictObject({
      dataset: datasetId.describe('Dataset of kind `text`.'),
      coefficient: z
        .number()
        .positive()
        .default(0.1)
        .describe('Weight of the pretraining loss beside the demonstrations’.'),
      batchSize: positiveInt.max(4096).default(8).describe('Pretraining sequences per step.'),
    })
    .optional()
    .describe('Keeps what pretraining taught: adds its loss to every step.'),
});
export type SftConfig = z.infer<typeof sftConfig>;
