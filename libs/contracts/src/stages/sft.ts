import { z } from 'zod';
import { checkpointId, datasetId, neededId } from '../ids';
import {
  activationCheckpointing,
  fraction,
  heldOutFraction,
  microbatchSize,
  optimiser,
  positiveInt,
  precision,
  sampling,
} from './common';

export const sftConfig = z.strictObject({
  policy: checkpointId.describe('Policy to start from.'),
  dataset: datasetId.describe('Dataset of kind `demonstrations`.'),
  ...optimiser,
  learningRate: optimiser.learningRate.default(3e-4).describe('Peak learning rate.'),
  epochs: positiveInt.max(1000).default(16).describe('Passes over the demonstrations; 16 in InstructGPT.'),
  batchSize: positiveInt.max(4096).default(32).describe('Demonstrations per step.'),
  microbatchSize,
  activationCheckpointing,
  precision,
  warmupSteps: z.int().min(0).default(0).describe('Steps of linear warm-up; none in InstructGPT.'),
  finalLearningRateFraction: fraction.default(0.1).describe('Where the cosine ends, as a share of the peak.'),
  dropout: z.number().min(0).lt(1).default(0.2).describe('Residual dropout while training; 0.2 in InstructGPT.'),
  heldOutFraction: heldOutFraction.default(0.1),
  selection: z
    .strictObject({
      reward: neededId('An epoch is selected by the score of a reward model: name one of an earlier run.').describe(
        'Reward model, from an earlier round, that scores the answers of each epoch.',
      ),
      prompts: neededId('An epoch is selected by its answers: name a dataset of prompts.').describe(
        'Dataset of kind `prompts` to answer.',
      ),
      maxPrompts: positiveInt.default(128).describe('Use only the first so many prompts.'),
      batchSize: positiveInt.max(4096).default(64).describe('Answers sampled at a time.'),
      temperature: sampling.temperature.default(1),
      maxNewTokens: sampling.maxNewTokens.default(32),
    })
    .optional()
    .describe(
      'Publishes the epoch whose answers score highest, as InstructGPT does: the held-out loss is no guide after the first. Without it, the last epoch is published.',
    ),
  pretrainingMix: z
    .strictObject({
      dataset: neededId('A pretraining mix needs a dataset of text, such as the pretraining corpus.').describe(
        'Dataset of kind `text`.',
      ),
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
