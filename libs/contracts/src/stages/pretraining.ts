import { z } from 'zod';
import { datasetId } from '../ids';
import {
  activationCheckpointing,
  fraction,
  heldOutFraction,
  microbatchSize,
  optimiser,
  positiveInt,
  precision,
} from './common';

/** A GPT-2 transformer's size. */
export const transformerShape = z
  .strictObject({
    layers: positiveInt.max(96).default(4).describe('Transformer blocks.'),
    heads: positiveInt.max(128).default(4).describe('Attention heads; the width is a multiple of 8 for each.'),
    width: positiveInt.max(16384).default(128).describe('Size of the residual stream.'),
    contextLength: positiveInt.max(8192).default(64).describe('Longest sequence, in tokens.'),
  })
  .refine((shape) => shape.width % (8 * shape.heads) === 0, {
    path: ['width'],
    message: 'it must be a multiple of 8 for every head: cached attention works on 8 numbers at a time',
  });

export const pretrainingConfig = z
  .strictObject({
    dataset: datasetId.describe('Dataset of kind `text`.'),
    model: transformerShape.prefault({}).describe('Size of the transformer.'),
    tokenizer: z
      .strictObject({
        vocabSize: z.int().min(258).max(65_536).default(512).describe('Entries, with 256 bytes and 2 special tokens.'),
      })
      .prefault({})
      .describe('Byte-level BPE, trained on the same corpus.'),
    ...optimiser,
    learningRate: optimiser.learningRate.default(1e-3).describe('Peak learning rate.'),
    weightDecay: optimiser.weightDecay.default(0.1),
    steps: positiveInt.max(10_000_000).default(600).describe('Optimiser steps.'),
    batchSize: positiveInt.max(4096).default(32).describe('Sequences of the context length per step.'),
    microbatchSize,
    activationCheckpointing,
    precision,
    warmupSteps: z.int().min(0).default(30).describe('Steps of linear warm-up.'),
    finalLearningRateFraction: fraction.default(0.1).describe('Where the cosine ends, as a share of the peak.'),
    heldOutFraction: heldOutFraction.default(0.05),
    evaluateEvery: positiveInt.default(100).describe('Steps between two measurements of the held-out perplexity.'),
  })
  .refine((config) => config.warmupSteps < config.steps, {
    path: ['warmupSteps'],
    message: 'the warm-up must end before the last step',
  });
export type PretrainingConfig = z.infer<typeof pretrainingConfig>;
