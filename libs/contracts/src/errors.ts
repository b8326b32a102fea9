import { z } from 'zod';

/**
 * Every error that Pavlov can name. The code is stable: clients may switch on it. `status` is the HTTP status, and
 * `retry` says whether the same job may succeed when it is tried again.
 */
export const errorCatalogue = {
  MALFORMED_JSON: { status: 400, retry: false },
  INVALID_REQUEST: { status: 400, retry: false },
  UNKNOWN_STAGE: { status: 400, retry: false },
  UNKNOWN_OPTION: { status: 400, retry: false },
  FORBIDDEN_ORIGIN: { status: 403, retry: false },
  FORBIDDEN_PATH: { status: 403, retry: false },
  ROUTE_NOT_FOUND: { status: 404, retry: false },
  JOB_NOT_FOUND: { status: 404, retry: false },
  PIPELINE_NOT_FOUND: { status: 404, retry: false },
  DATASET_NOT_FOUND: { status: 404, retry: false },
  CHECKPOINT_NOT_FOUND: { status: 404, retry: false },
  REPORT_NOT_FOUND: { status: 404, retry: false },
  FILE_NOT_FOUND: { status: 404, retry: false },
  METHOD_NOT_ALLOWED: { status: 405, retry: false },
  JOB_STATE_CONFLICT: { status: 409, retry: false },
  IDEMPOTENCY_CONFLICT: { status: 409, retry: false },
  STALE_ATTEMPT: { status: 409, retry: false },
  ALREADY_PUBLISHED: { status: 409, retry: false },
  PAYLOAD_TOO_LARGE: { status: 413, retry: false },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, retry: false },
  MISSING_INPUT: { status: 422, retry: false },
  CONFIG_CONFLICT: { status: 422, retry: false },
  CHECKPOINT_WRONG_KIND: { status: 422, retry: false },
  TOKENIZER_MISMATCH: { status: 422, retry: false },
  MODEL_MISMATCH: { status: 422, retry: false },
  UNKNOWN_REWARD_FUNCTION: { status: 422, retry: false },
  DATASET_WRONG_KIND: { status: 422, retry: false },
  DATASET_EMPTY: { status: 422, retry: false },
  DATASET_INVALID_ROW: { status: 422, retry: false },
  SEQUENCE_TOO_LONG: { status: 422, retry: false },
  PRECISION_UNAVAILABLE: { status: 422, retry: false },
  CANCELLED: { status: 409, retry: false },
  NON_FINITE: { status: 500, retry: false },
  KL_EXPLODED: { status: 500, retry: false },
  ENTROPY_COLLAPSED: { status: 500, retry: false },
  REWARDS_EQUAL: { status: 500, retry: false },
  OVEROPTIMISED: { status: 500, retry: false },
  REWARD_INVALID: { status: 500, retry: false },
  REWARD_UNAVAILABLE: { status: 503, retry: true },
  CHECKPOINT_CORRUPT: { status: 500, retry: false },
  TRAINER_CRASHED: { status: 500, retry: true },
  INTERNAL: { status: 500, retry: true },
  SERVICE_UNAVAILABLE: { status: 503, retry: true },
  TIMEOUT: { status: 504, retry: true },
} as const satisfies Record<string, { status: number; retry: boolean }>;

export type ErrorCode = keyof typeof errorCatalogue;
export const errorCodes = Object.keys(errorCatalogue) as [ErrorCode, ...ErrorCode[]];

export const errorBody = z
  .object({
    code: z.enum(errorCodes).describe('Stable name of the error.'),
    message: z.string().describe('What is wrong.'),
    hint: z.string().describe('What to do about it.'),
    field: z.string().optional().describe('Path of the offending field, e.g. `stages.ppo.clipRange`.'),
    line: z.int().positive().optional().describe('Offending line of an uploaded file, counted from 1.'),
    issues: z
      .array(z.object({ field: z.string(), message: z.string() }))
      .optional()
      .describe('Every offending field, when there are several.'),
  })
  .meta({ id: 'Error' });
export type ErrorBody = z.infer<typeof errorBody>;

/** An error with a stable code, the place of the fault, and a sentence on what to do. */
export class PavlovError extends Error {
  override readonly name = 'PavlovError';
  readonly body: ErrorBody;

  constructor(body: ErrorBody, options?: { cause?: unknown }) {
    super(body.message, options);
    this.body = body;
  }

  get code(): ErrorCode {
    return this.body.code;
  }

  get status(): number {
    return errorCatalogue[this.body.code].status;
  }

  /** Whether the same job may succeed when it is tried again. */
  get retryable(): boolean {
    return errorCatalogue[this.body.code].retry;
  }

  toJSON(): ErrorBody {
    return this.body;
  }

  /** Any thrown value as a PavlovError; what is not one already becomes INTERNAL, with the original as its cause. */
  static from(error: unknown): PavlovError {
    if (error instanceof PavlovError) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new PavlovError({ code: 'INTERNAL', message, hint: 'Look at the logs of the service that ran this.' }, { cause: error });
  }
}
