import { z } from 'zod';
import { checkpointId, datasetId } from '../ids';
import { positiveInt, sampling } from './common';

export const oracles = ['demo-world'] as const;

const simulated = z.strictObject({
  kind: z.literal('simulated'),
  oracle: z
    .enum(oracles)
    .describe('The known truth that the simulated labeller sees through noise. It needs prompts with an `answer`.'),
  noise: z
    .number()
    .positive()
    .default(0.2)
    .describe('Bradley–Terry temperature: how large a difference in utility it takes to be sure.'),
  tieThreshold: z
    .number()
    .min(0)
    .default(0.6)
    .describe('Step of the scale that the labeller rates on: answers on the same mark are ranked equal.'),
});
const imported = z.strictObject({
  kind: z.literal('import'),
  dataset: datasetId.describe('Dataset of kind `rankings`: rankings or chosen/rejected pairs from a file.'),
});

/** Rankings come from a labeller (K answers are sampled for each prompt) or from a file (nothing is sampled). */
export const feedbackConfig = z
  .strictObject({
    labeller: z.discriminatedUnion('kind', [simulated, imported]).describe('Who ranks.'),
    policy: checkpointId.optional().describe('Policy that answers. Not used by an import.'),
    prompts: datasetId.optional().describe('Dataset of kind `prompts`. Not used by an import.'),
    answersPerPrompt: z
      .int()
      .min(4, 'K, the answers ranked together, is 4 to 9: fewer make poor use of a labeller’s reading')
      .max(9, 'K, the answers ranked together, is 4 to 9: nobody ranks more reliably')
      .default(4)
      .describe('K, the answers ranked together; 4–9 in InstructGPT.'),
    maxPrompts: positiveInt.optional().describe('Use only the first so many prompts of the seeded order.'),
    batchSize: positiveInt.max(4096).default(64).describe('Answers sampled at a time.'),
    ...sampling,
    temperature: sampling.temperature.default(1),
    maxNewTokens: sampling.maxNewTokens.default(32),
  })
  .superRefine((config, context) => {
    if (config.labeller.kind === 'import') return;
    for (const field of ['policy', 'prompts'] as const) {
      if (config[field] === undefined)
        context.addIssue({ code: 'custom', path: [field], message: `a ${config.labeller.kind} labeller needs it` });
    }
    if (config.temperature === 0 || config.topK === 1) {
      context.addIssue({
        code: 'custom',
        path: [config.temperature === 0 ? 'temperature' : 'topK'],
        message: 'all answers to a prompt would be the same, and there would be nothing to rank',
        params: { hint: 'Sample: a temperature of 1 shows the labeller what PPO’s rollouts will look like.' },
      });
    }
  });
export type FeedbackConfig = z.infer<typeof feedbackConfig>;
export type SimulatedLabeller = z.infer<typeof simulated>;
