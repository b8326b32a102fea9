import { PavlovError } from '@pavlov/contracts';
import { type Request, type Response, text } from 'express';
import { printParseErrorCode, visit } from 'jsonc-parser';
import { promisify } from 'node:util';

/** Largest JSON body. Configs are small; rows are uploaded to /v1/datasets. */
export const maxJsonBytes = 1_048_576;

const readText = promisify<Request, Response>(text({ type: 'application/json', limit: maxJsonBytes }));

/** `PropertyNameExpected` → `property name expected`. */
const inWords = (code: string): string =>
  code.replace(/[A-Z]/g, (letter, at: number) => (at === 0 ? '' : ' ') + letter.toLowerCase());

interface Fault {
  readonly reason: string;
  readonly line: number;
  readonly column: number;
}

/** The first fault of a text that is not JSON. `JSON.parse` of Node 20 does not always say where it is. */
function firstFault(body: string): Fault | undefined {
  let fault: Fault | undefined;
  visit(
    body,
    {
      onError: (...[code, , , line, column]) => {
        fault ??= { reason: inWords(printParseErrorCode(code)), line: line + 1, column: column + 1 };
      },
    },
    { disallowComments: true, allowTrailingComma: false },
  );
  return fault;
}

/** @throws PavlovError MALFORMED_JSON with the position of the fault */
export function parseJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    const fault = firstFault(body);
    const where =
      fault === undefined ? (cause as Error).message : `${fault.reason} at line ${fault.line}, column ${fault.column}`;
    throw new PavlovError(
      {
        code: 'MALFORMED_JSON',
        message: body.trim() === '' ? 'The body is empty, but must be JSON.' : `The body is not JSON: ${where}.`,
        hint: 'Send one JSON object, with names and texts in double quotes and no comma after the last field.',
        ...(fault === undefined ? {} : { line: fault.line }),
      },
      { cause },
    );
  }
}

export function unsupportedType(request: Request, accepted: readonly string[]): PavlovError {
  const given = request.headers['content-type'];
  return new PavlovError({
    code: 'UNSUPPORTED_MEDIA_TYPE',
    message:
      given === undefined ? 'The request has no Content-Type.' : `The Content-Type “${given}” is not accepted here.`,
    hint: `Send one of: ${accepted.join(', ')}.`,
  });
}

/** Reads a body that must be JSON. @throws PavlovError MALFORMED_JSON, UNSUPPORTED_MEDIA_TYPE, PAYLOAD_TOO_LARGE */
export async function readJson(request: Request, response: Response): Promise<unknown> {
  const isJson = request.headers['content-type']?.split(';')[0].trim().toLowerCase() === 'application/json';
  if (!isJson) throw unsupportedType(request, ['application/json']);
  await readText(request, response);
  return parseJson(typeof request.body === 'string' ? request.body : '');
}
