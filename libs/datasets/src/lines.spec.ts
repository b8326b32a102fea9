import { PavlovError } from '@pavlov/contracts';
import fc from 'fast-check';
import { readLines } from './lines';

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  // One buffer for all chunks, as a reader may reuse its own.
  const chunk = Buffer.alloc(size);
  for (let start = 0; start < bytes.length; start += size) {
    const part = bytes.subarray(start, start + size);
    chunk.set(part);
    yield chunk.subarray(0, part.length);
  }
}

async function linesOf(content: string | Uint8Array, chunk = 7): Promise<string[]> {
  const lines: string[] = [];
  for await (const { line, text } of readLines(inChunks(Buffer.from(content as string), chunk), 'rows.jsonl')) {
    lines.push(text);
    expect(line).toBe(lines.length);
  }
  return lines;
}

describe('readLines', () => {
  it.each([
    ['', []],
    ['one', ['one']],
    ['one\n', ['one']],
    ['one\n\ntwo\n', ['one', '', 'two']],
    ['one\r\ntwo\r\n', ['one', 'two']],
    ['\ufeffone\ntwo', ['one', 'two']],
    ['one\n\ufefftwo', ['one', '\ufefftwo']],
    ['a\rb\n', ['a\rb']],
  ])('reads %j', async (content, expected) => {
    expect(await linesOf(content)).toEqual(expected);
  });

  it('reads any text in any chunks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'grapheme' })),
        fc.integer({ min: 1, max: 9 }),
        async (texts, chunk) => {
          const plain = texts.map((text) => text.replace(/[\r\n\ufeff]/g, ''));
          expect(await linesOf(plain.map((text) => `${text}\n`).join(''), chunk)).toEqual(plain);
        },
      ),
    );
  });

  it('names the line that is not UTF-8', async () => {
    const error: PavlovError = await linesOf(Buffer.concat([Buffer.from('one\ntwo\n'), Buffer.of(0xff, 0x0a)])).catch(
      (e) => e,
    );
    expect(error).toBeInstanceOf(PavlovError);
    expect(error.body).toMatchObject({ code: 'DATASET_INVALID_ROW', line: 3 });
    expect(error.body.hint).toContain('UTF-8');
  });

  it('does not fill the memory with a line that never ends', async () => {
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('one\n');
      for (;;) yield Buffer.alloc(2 ** 20, 'x');
    }
    const read = async (): Promise<void> => {
      for await (const _ of readLines(endless(), 'x.txt')) expect(_.line).toBe(1);
    };
    await expect(read()).rejects.toMatchObject({ body: { code: 'DATASET_INVALID_ROW', line: 2 } });
  });
});
