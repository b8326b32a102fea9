import { z } from 'zod';
import { checkpointId, datasetId } from '../ids';
import { positiveInt, sampling, samplingWeights } from './common';
import { oracles } from './feedback';

export const evaluationConfig = z
  .strictObject({
    policies: z
      .array(z.strictObject({ name: z.string().min(1).max(60), checkpoint: checkpointId }))
      .min(1)
      .max(32)
      .describe('Policies to compare, in the order of the report.'),
    prompts: datasetId.describe('Dataset of kind `prompts` that no earlier stage has seen.'),
    reference: checkpointId.optional().describe('Policy to which the KL is measured, usually the SFT one.'),
    reward: checkpointId.optional().describe('Reward model that scores the answers.'),
    text: datasetId.optional().describe('Dataset of kind `text` for the perplexity.'),
    oracle: z.enum(oracles).optional().describe('Known truth that grades answers; the prompts need an `answer`.'),
    winRate: z
      .strictObject({ challenger: z.string(), baseline: z.string() })
      .optional()
      .describe('Two of the policies, by name: how often the reward model prefers the first one’s answer.'),
    maxPrompts: positiveInt.optional().describe('Use only the first so many prompts.'),
    batchSize: positiveInt.max(4096).default(64).describe('Answers sampled at a time.'),
    samples: z.int().min(0).max(200).default(12).describe('Rows of the sample table.'),
    ...sampling,
    temperature: sampling.temperature.default(0.7),
    maxNewTokens: sampling.maxNewTokens.default(32),
    weights: samplingWeights,
  })
  .superRefine((config, context) => {
    const names = config.policies.map((policy) => policy.name);
    if (new Set(names).size !== names.length)
      context.addIssue({ code: 'custom', path: ['policies'], message: 'each policy needs a name of its own' });
    for (const side of ['challenger', 'baseline'] as const) {
      const name = config.winRate?.[side];
      if (name !== undefined && !names.includes(name)) {
        context.addIssue({ code: 'custom', path: ['winRate', side], message: `there is no policy named “${name}”` });
      }
    }
    if (config.winRate !== undefined && config.reward === undefined) {
      context.addIssue({ code: 'custom', path: ['reward'], message: 'a win rate needs a reward model' });
    }
  });
export type EvaluationConfig = z.infer<typeof evaluationConfig>;
