import { z } from 'zod';
import { checkpointId, datasetId } from '../ids';
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

export const rewardModelingConfig = z
  .strictObject({
    policy: checkpointId.describe('SFT policy: its trunk starts the reward model.'),
    rankings: datasetId.describe('Dataset of kind `rankings`.'),
    earlierRankings: z
      .array(datasetId)
      .max(64)
      .default([])
      .describe('Datasets of kind `rankings` from earlier rounds, learned together with `rankings`.'),
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
    microbatchSize,
    activationCheckpointing,
    precision,
    warmupSteps: z.int().min(0).default(0).describe('Steps of linear warm-up.'),
    finalLearningRateFraction: fraction.default(0.1).describe('Where the cosine ends, as a share of the peak.'),
    heldOutFraction: heldOutFraction.default(0.1),
    seeds: positiveInt
      .max(16)
      .default(1)
      .describe('Models to train, each with a head and an order of the data of its own: both change the result.'),
    keep: z
      .enum(['best', 'ensemble'])
      .default('best')
      .describe('Of several models, publish the one that is right on most held-out pairs, or all as an ensemble.'),
    standardise: z
      .strictObject({
        answers: positiveInt
          .max(100_000)
          .default(256)
          .describe('Answers of the policy to sample, to the ranked prompts.'),
        batchSize: positiveInt.max(4096).default(64).describe('Answers sampled at a time.'),
        temperature: sampling.temperature.default(1),
        maxNewTokens: sampling.maxNewTokens.default(32),
      })
      .optional()
      .describe(
        'Scales and shifts the reward, before and after training, so that the policy’s own answers have mean 0 and variance 1 (Ziegler et al. 2019).',
      ),
  })
  .superRefine((config, context) => {
    if (config.standardise !== undefined && config.demonstrations !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['standardise'],
        message: 'only one can say where 0 is: `demonstrations` or `standardise`',
        params: { hint: 'Leave one of the two out.' },
      });
    }
    if (config.seeds > 1 && config.heldOutFraction === 0) {
      context.addIssue({
        code: 'custom',
        path: ['heldOutFraction'],
        message: 'several models are compared on held-out prompts, so some must be held out',
        params: { hint: 'Hold some out, 0.1 for a tenth of the prompts, or train one model.' },
      });
    }
    if (config.seeds === 1 && config.keep === 'ensemble') {
      context.addIssue({
        code: 'custom',
        path: ['seeds'],
        message: 'an ensemble needs at least two models',
        params: { hint: 'Raise `seeds`, or leave `keep` out for one model.' },
      });
    }
  });
export type RewardModelingConfig = z.infer<typeof rewardModelingConfig>;
