import { type ErrorBody, type ErrorCode, PavlovError } from '@pavlov/contracts';
import { MulterError } from 'multer';

const byBodyParser: Readonly<Record<string, Pick<ErrorBody, 'code' | 'hint'>>> = {
  'entity.too.large': {
    code: 'PAYLOAD_TOO_LARGE',
    hint: 'Send less at a time; a dataset is uploaded at POST /v1/datasets.',
  },
  'encoding.unsupported': { code: 'UNSUPPORTED_MEDIA_TYPE', hint: 'Send it plain, or compressed with gzip.' },
  'charset.unsupported': { code: 'UNSUPPORTED_MEDIA_TYPE', hint: 'Send it as UTF-8.' },
  'request.aborted': { code: 'INVALID_REQUEST', hint: 'Send the whole body.' },
  'request.size.invalid': { code: 'INVALID_REQUEST', hint: 'Give the body’s true Content-Length.' },
};

const byMulter: Partial<Record<MulterError['code'], ErrorCode>> = {
  LIMIT_FILE_SIZE: 'PAYLOAD_TOO_LARGE',
  LIMIT_FILE_COUNT: 'PAYLOAD_TOO_LARGE',
  LIMIT_PART_COUNT: 'PAYLOAD_TOO_LARGE',
};

/** What streams, Node's HTTP and multer say when a client hangs up in the middle. */
const clientIsGone = /^(aborted|Request aborted|Premature close)$/;

/** ioredis has no classes for these. */
const redisIsAway =
  /ECONNREFUSED|ECONNRESET|Connection is closed|max retries per request|enableOfflineQueue|did not answer within/;

/**
 * Any thrown value as an error that may be shown. What nobody foresaw becomes INTERNAL without its message, which might
 * tell of the machine; the log has it whole.
 */
export function toShowable(error: unknown): PavlovError {
  if (error instanceof PavlovError && error.code !== 'INTERNAL') return error;
  const showable = (body: ErrorBody): PavlovError => new PavlovError(body, { cause: error });
  if (error instanceof MulterError) {
    return showable({
      code: byMulter[error.code] ?? 'INVALID_REQUEST',
      message: `${error.message}.`,
      hint: 'Send the fields `kind` and `name`, and the files as `files`.',
    });
  }
  if (error instanceof URIError) {
    return showable({
      code: 'INVALID_REQUEST',
      message: 'The address is not properly encoded.',
      hint: 'Percent-encode it as UTF-8.',
    });
  }
  const { type, message } =
    error instanceof Error ? (error as Error & { type?: string }) : { type: undefined, message: '' };
  const known = type === undefined ? undefined : byBodyParser[type];
  if (known !== undefined) return showable({ ...known, message: `The body cannot be read: ${message}.` });
  if (clientIsGone.test(message)) {
    return showable({
      code: 'INVALID_REQUEST',
      message: 'The client left in the middle.',
      hint: 'Stay until the end of the answer.',
    });
  }
  if (redisIsAway.test(message)) {
    return showable({
      code: 'SERVICE_UNAVAILABLE',
      message: 'Redis does not answer.',
      hint: 'Try again soon; nothing was changed.',
    });
  }
  return showable({
    code: 'INTERNAL',
    message: 'The gateway failed.',
    hint: 'Look for this request’s id, the header X-Request-Id, in the log of the gateway.',
  });
}
