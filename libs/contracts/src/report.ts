import { z } from 'zod';
import { samplingWeights } from './stages/common';

/** Files of a report, in its folder. */
export const reportFiles = { json: 'report.json', markdown: 'report.md' } as const;

/** The evaluation's JSON report. Shares are 0–1. */
export const policyEvaluation = z.object({
  name: z.string(),
  checkpoint: z.string(),
  prompts: z.int().positive(),
  politeAndCorrect: z.number().optional(),
  polite: z.number().optional(),
  correct: z.number().optional(),
  reward: z.number().optional().describe('Mean score of the reward model.'),
  rewardDeviation: z
    .number()
    .optional()
    .describe('Of an ensemble: mean over answers of the standard deviation between its members.'),
  klToReference: z
    .number()
    .optional()
    .describe('Mean over answers of Σ log π − log π_ref, in nats, under temperature 1.'),
  perplexity: z.number().optional(),
  responseTokens: z.number().describe('Mean length of an answer.'),
  endedWithEos: z.number().describe('Share of answers that ended by themselves.'),
  tokensPerSecond: z.number(),
  seconds: z.number(),
  categories: z
    .record(z.string(), z.object({ prompts: z.int(), politeAndCorrect: z.number(), correct: z.number() }))
    .optional(),
});
export type PolicyEvaluation = z.infer<typeof policyEvaluation>;

export const evaluationReport = z
  .object({
    id: z.string(),
    seed: z.int(),
    temperature: z.number(),
    weights: samplingWeights,
    policies: z.array(policyEvaluation),
    winRate: z
      .object({
        challenger: z.string(),
        baseline: z.string(),
        wins: z.number(),
        ties: z.number(),
        losses: z.number(),
        rate: z.number(),
        interval: z.tuple([z.number(), z.number()]),
      })
      .optional(),
    samples: z.array(
      z.object({
        prompt: z.string(),
        answer: z.string().optional(),
        responses: z.array(
          z.object({
            policy: z.string(),
            text: z.string(),
            correct: z.boolean().optional(),
            polite: z.boolean().optional(),
            reward: z.number().optional(),
          }),
        ),
      }),
    ),
  })
  .meta({ id: 'EvaluationReport' });
export type EvaluationReport = z.infer<typeof evaluationReport>;
