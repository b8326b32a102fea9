import { PavlovError } from '@pavlov/contracts';

/** A line of a text file, without its end, counted from 1. */
export interface Line {
  readonly line: number;
  readonly text: string;
}

/** Longest line, in bytes: a file without line breaks must not fill the memory. */
export const maxLineBytes = 64 * 2 ** 20;

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const byteOrderMark = [0xef, 0xbb, 0xbf];

/**
 * Lines of UTF-8 bytes, read as a stream. Ends are LF or CRLF; a byte order mark is dropped; a last line without an end
 * counts, an empty one after the last end does not.
 *
 * @throws PavlovError DATASET_INVALID_ROW naming the line that is not UTF-8 or too long.
 */
export async function* readLines(bytes: AsyncIterable<Uint8Array>, fileName: string): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let line = 0;

  const keep = (part: Uint8Array): void => {
    pendingBytes += part.length;
    if (pendingBytes > maxLineBytes) {
      throw invalidLine(line + 1, {
        message: `Line ${line + 1} of ${fileName} is longer than ${maxLineBytes} bytes.`,
        hint: 'Break the file into lines, or into several files.',
      });
    }
    pending.push(part);
  };
  const finish = (): Line => {
    let content = Buffer.concat(pending);
    pending = [];
    pendingBytes = 0;
    line++;
    if (line === 1 && byteOrderMark.every((byte, i) => content[i] === byte)) content = content.subarray(3);
    if (content[content.length - 1] === carriageReturn) content = content.subarray(0, -1);
    try {
      return { line, text: decoder.decode(content) };
    } catch {
      throw invalidLine(line, {
        message: `Line ${line} of ${fileName} is not UTF-8 text.`,
        hint: 'Save the file as UTF-8 and send it again.',
      });
    }
  };

  for await (const chunk of bytes) {
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end !== -1; end = chunk.indexOf(lineFeed, start)) {
      keep(chunk.subarray(start, end));
      start = end + 1;
      yield finish();
    }
    // Copied, because a reader may fill the same chunk again.
    if (start < chunk.length) keep(Uint8Array.from(chunk.subarray(start)));
  }
  if (pendingBytes > 0) yield finish();
}

function invalidLine(line: number, { message, hint }: { message: string; hint: string }): PavlovError {
  return new PavlovError({ code: 'DATASET_INVALID_ROW', message, hint, line });
}
