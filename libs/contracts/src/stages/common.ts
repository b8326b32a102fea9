import { z } from 'zod';

export const positiveInt = z.int().positive();
export const fraction = z.number().min(0).max(1);

/** AdamW with global-norm clipping; β as in InstructGPT appendix C. */
export const optimiser = {
  learningRate: z.number().positive(),
  weightDecay: z.number().min(0).default(0).describe('Decoupled weight decay, on matrices only.'),
  beta1: z.number().min(0).max(0.9999).default(0.9).describe('Decay of the first moment.'),
  beta2: z.number().min(0).max(0.99999).default(0.95).describe('Decay of the second moment.'),
  epsilon: z.number().positive().default(1e-8).describe('Added to the root of the second moment.'),
  epsilonPlacement: z
    .enum(['pytorch', 'tensorflow'])
    .default('pytorch')
    .describe(
      'Whether epsilon is added after the bias correction, as PyTorch does, or before it, as the original RLHF code did.',
    ),
  clipNorm: z.number().positive().default(1).describe('Largest global norm of a gradient.'),
};

export const microbatchSize = positiveInt
  .optional()
  .describe('Most of them computed at once: fewer need less memory and give the same step. All, if absent.');

export const activationCheckpointing = z
  .boolean()
  .default(false)
  .describe(
    'Compute each block of the transformer, and the logits of a large vocabulary, again for their gradient instead of keeping them: less memory, the same step.',
  );

export const precision = z
  .enum(['float32', 'bfloat16'])
  .default('float32')
  .describe(
    'What matrix products read: with `bfloat16` they are faster and a little less accurate, and the job fails where the processor has no AVX512_BF16. They add up in float32, as everything else is computed.',
  );

export const sampling = {
  temperature: z.number().min(0).max(10).describe('Logits are divided by it; 0 takes the likeliest token.'),
  topK: z.int().min(0).default(0).describe('Sample among the k likeliest tokens; 0 means all.'),
  topP: z.number().gt(0).max(1).default(1).describe('Sample within this probability mass; 1 means all.'),
  maxNewTokens: positiveInt.max(4096).describe('Longest answer, with its end-of-sequence token.'),
};

/** Nothing but sampling reads fewer bits: rewards, and log-probs of a given text, are computed in float32. */
export const samplingWeights = z
  .enum(['float32', 'bfloat16', 'int8'])
  .default('float32')
  .describe(
    'What answers are sampled with: `int8` rounds the matrices to 8 bits, which is faster the larger the model is and costs a little accuracy, and the rest as `bfloat16` where that can be had; `bfloat16` rounds all that matrix products read, and fails where the processor has no AVX512_BF16.',
  );
export type SamplingWeights = z.infer<typeof samplingWeights>;

export const heldOutFraction = z
  .number()
  .min(0)
  .max(0.5)
  .describe('Share of the rows kept out of training and measured.');
