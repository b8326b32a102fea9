import { z } from 'zod';

/** One row of each kind of dataset. A dataset is JSON Lines: one row a line. */

const text = z.string().min(1);

export const message = z.object({ role: z.enum(['system', 'user', 'assistant']), content: text });
export type Message = z.infer<typeof message>;

export const textRow = z.object({ text }).meta({ id: 'TextRow' });
export type TextRow = z.infer<typeof textRow>;

const user = text.optional().describe('Who wrote it. Rows of one user never stand on both sides of a held-out split.');
const promptCompletion = z.object({ prompt: text, completion: text, user });
const conversation = z
  .object({ messages: z.array(message).min(2), user })
  .refine((row) => row.messages.at(-1)?.role === 'assistant', { path: ['messages'], message: 'the last message must be the assistant’s' });
export const demonstrationRow = z.union([promptCompletion, conversation]).meta({ id: 'DemonstrationRow' });
export type DemonstrationRow = z.infer<typeof demonstrationRow>;

export const promptRow = z
  .object({
    prompt: text,
    answer: text.optional().describe('The right answer. Only who grades reads it: the simulated labeller, the evaluation, and PPO’s reward functions.'),
    category: text.optional().describe('Groups prompts in reports and tells an oracle which rule applies.'),
  })
  .meta({ id: 'PromptRow' });
export type PromptRow = z.infer<typeof promptRow>;

/** Bounds on the answers ranked together; 4–9 in InstructGPT §3.2, 2 for chosen/rejected pairs. */
export const rankingSize = { min: 2, max: 9 } as const;

export const labellerInfo = z.object({
  kind: z.enum(['simulated', 'human', 'import']).describe('Who ranked: a simulated labeller, a person, or a file.'),
  name: z.string().optional().describe('The labeller’s name; for a simulated one, its oracle.'),
  agreementCeiling: z
    .number()
    .min(0.5)
    .max(1)
    .optional()
    .describe('Simulated labellers only: the pair accuracy that a judge who knew the true utilities would reach on this row.'),
});
export type LabellerInfo = z.infer<typeof labellerInfo>;

const rankedCompletions = z
  .object({
    prompt: text,
    completions: z.array(text).min(rankingSize.min).max(rankingSize.max),
    ranks: z.array(z.int().positive()).describe('One rank per completion: 1 is best, equal ranks are ties.'),
    labeller: labellerInfo.optional(),
  })
  .refine((row) => row.ranks.length === row.completions.length, { path: ['ranks'], message: 'there must be one rank per completion' });
const chosenRejected = z.object({ prompt: text, chosen: text, rejected: text, labeller: labellerInfo.optional() });
export const rankingRow = z.union([rankedCompletions, chosenRejected]).meta({ id: 'RankingRow' });
export type RankingRow = z.infer<typeof rankingRow>;
export type RankedCompletions = z.infer<typeof rankedCompletions>;

export const datasetKinds = ['text', 'demonstrations', 'prompts', 'rankings'] as const;
export type DatasetKind = (typeof datasetKinds)[number];

export interface DatasetRows {
  text: TextRow;
  demonstrations: DemonstrationRow;
  prompts: PromptRow;
  rankings: RankingRow;
}

export const rowSchemas = {
  text: textRow,
  demonstrations: demonstrationRow,
  prompts: promptRow,
  rankings: rankingRow,
} as const satisfies { [K in DatasetKind]: z.ZodType<DatasetRows[K]> };
