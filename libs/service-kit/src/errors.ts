import { type ErrorBody, errorBody, PavlovError } from '@pavlov/contracts';
import { UnrecoverableError } from 'bullmq';
import { ZodError } from 'zod';

/**
 * Any thrown value as a PavlovError. What zod refused becomes INVALID_REQUEST with every offending field.
 *
 * @param hint What to do about a value that zod refused; by default, for a job's payload.
 */
export function toPavlovError(
  error: unknown,
  hint = 'Submit jobs through the gateway, which says what it wants of each field.',
): PavlovError {
  if (!(error instanceof ZodError)) return PavlovError.from(error);
  const issues = error.issues.map(({ path, message }) => ({ field: path.map(String).join('.'), message }));
  const [first] = issues;
  const body: ErrorBody = {
    code: 'INVALID_REQUEST',
    message: first ? `${first.field}: ${first.message}` : error.message,
    hint,
    field: first?.field,
    issues,
  };
  return new PavlovError(body, { cause: error });
}

/**
 * The error as BullMQ is to see it. BullMQ keeps an error's message as `failedReason`, whole, so that is where the
 * body travels. What cannot succeed is not tried again.
 */
export function toJobFailure(error: PavlovError): Error {
  const reason = JSON.stringify(error.body);
  return error.retryable ? new Error(reason, { cause: error }) : new UnrecoverableError(reason);
}

/** What `toJobFailure` wrote, or a failure that BullMQ words itself. */
export function parseFailure(failedReason: string): ErrorBody {
  const written = errorBody.safeParse(parseJson(failedReason));
  if (written.success) return written.data;
  if (failedReason.startsWith('job stalled')) {
    return {
      code: 'TRAINER_CRASHED',
      message: 'The service died again and again while it ran this job.',
      hint: 'Look at the service’s log and its memory, then retry the job.',
    };
  }
  return { code: 'INTERNAL', message: failedReason, hint: 'Look at the logs of the service that ran this.' };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
