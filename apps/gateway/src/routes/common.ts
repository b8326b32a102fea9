import { type ErrorCode } from '@pavlov/contracts';
import { z } from 'zod';

/** Errors of the checks that come before anything is enqueued. */
export const admissionErrors = [
  'UNKNOWN_STAGE',
  'IDEMPOTENCY_CONFLICT',
  'CHECKPOINT_NOT_FOUND',
  'DATASET_NOT_FOUND',
  'MISSING_INPUT',
  'CONFIG_CONFLICT',
  'CHECKPOINT_WRONG_KIND',
  'TOKENIZER_MISMATCH',
  'MODEL_MISMATCH',
  'UNKNOWN_REWARD_FUNCTION',
  'DATASET_WRONG_KIND',
  'DATASET_EMPTY',
  'DATASET_INVALID_ROW',
  'SEQUENCE_TOO_LONG',
] as const satisfies readonly ErrorCode[];

export const idempotency = z.object({
  'idempotency-key': z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe(
      'A name of your own for this submission: sent again with it, the same request enqueues nothing and gets the same ids.',
    ),
});

/** The stream of a pipeline has one place per job, and twenty rounds have some sixty jobs. */
export const lastEventId = z.object({
  'last-event-id': z
    .string()
    .max(4000)
    .regex(/^\d{1,20}-\d{1,20}(\.\d{1,20}-\d{1,20})*$/, 'it is not the id of an event')
    .optional()
    .describe('Id of the last event that the client got; browsers send it by themselves.'),
});
