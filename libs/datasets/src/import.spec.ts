import { type DatasetKind, PavlovError } from '@pavlov/contracts';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createHash } from 'node:crypto';
import { buildDemoWorld } from './demo-world/build';
import { writeDemoWorld } from './demo-world/files';
import { importDataset } from './import';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pavlov-import-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function write(files: Record<string, string | Uint8Array>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
}

/** Imports files of the folder, or the folder itself. */
async function read(kind: DatasetKind, ...names: string[]) {
  const lines: string[] = [];
  const files = (names.length === 0 ? ['.'] : names).map((name) => ({ name, path: join(folder, name) }));
  const description = await importDataset({ kind, files, write: (line) => void lines.push(line) });
  return { ...description, lines };
}

const refusal = (kind: DatasetKind, ...names: string[]) =>
  read(kind, ...names).then(
    () => ({ code: 'accepted' }),
    (error) => (error instanceof PavlovError ? error.body : error),
  );

describe('importDataset', () => {
  it('reads JSON Lines, blank lines, CRLF, byte order mark and all, into one normal form', async () => {
    await write({
      'plain.jsonl': '{"prompt":"a","answer":"b"}\n{"prompt":"c"}\n',
      'odd.jsonl': '\ufeff\r\n{"answer": "b", "id": 1, "prompt": "a"}\r\n\r\n  {"prompt": "\\u0063"}  ',
    });
    const plain = await read('prompts', 'plain.jsonl');
    expect(plain.lines).toEqual(['{"prompt":"a","answer":"b"}\n', '{"prompt":"c"}\n']);
    expect(plain.sha256).toBe(createHash('sha256').update(plain.lines.join('')).digest('hex'));
    expect(await read('prompts', 'odd.jsonl')).toEqual(plain);
  });

  it('reads folders of text: a file is a document unless separators divide it', async () => {
    await write({
      'b.md': '# Title\n\nBody\n',
      'a/one.txt': '\r\nfirst line\r\nsecond line\r\n\r\n',
      'a/two.TXT': 'first\n<|endoftext|>\n\nsecond\n <|endoftext|> \n<|endoftext|>\n',
      'c.jsonl': '{"text":"row"}\n',
      'notes.pdf': 'not read',
      '.hidden.txt': 'not read',
    });
    const { lines, rows } = await read('text');
    expect(lines.map((line) => (JSON.parse(line) as { text: string }).text)).toEqual([
      'first line\nsecond line',
      'first',
      'second',
      '# Title\n\nBody',
      'row',
    ]);
    expect(rows).toBe(5);
  });

  it('gives a text and the same rows as JSON Lines one hash', async () => {
    await write({ 'a.txt': 'one\r\n\r\ntwo\r\n', 'a.jsonl': '{"text":"one\\n\\ntwo"}' });
    expect((await read('text', 'a.txt')).sha256).toBe((await read('text', 'a.jsonl')).sha256);
  });

  it('takes the ending from the path where the name has none', async () => {
    await write({ 'upload.jsonl': '{"prompt":"a"}\n' });
    const files = [{ name: 'the upload', path: join(folder, 'upload.jsonl') }];
    expect(await importDataset({ kind: 'prompts', files })).toMatchObject({ rows: 1 });
  });

  it('drops prompts that begin as an earlier one does, if asked to, and counts them', async () => {
    await write({ 'a.jsonl': ['one two', 'one too', 'three'].map((prompt) => `{"prompt":"${prompt}"}\n`).join('') });
    const files = [{ name: 'a.jsonl', path: join(folder, 'a.jsonl') }];
    const lines: string[] = [];
    const deduped = {
      kind: 'prompts',
      files,
      dedupePrefix: 5,
      write: (line: string) => void lines.push(line),
    } as const;
    const { statistics, rows } = await importDataset(deduped);
    expect(lines).toEqual(['{"prompt":"one two"}\n', '{"prompt":"three"}\n']);
    expect([rows, statistics.droppedByPrefix, statistics.duplicates]).toEqual([2, 1, 0]);
    expect((await importDataset({ kind: 'prompts', files })).statistics).not.toHaveProperty('droppedByPrefix');
  });

  it('waits for a slow writer', async () => {
    await write({ 'a.jsonl': '{"prompt":"a"}\n{"prompt":"b"}\n' });
    const seen: string[] = [];
    const files = [{ name: 'a.jsonl', path: join(folder, 'a.jsonl') }];
    await importDataset({
      kind: 'prompts',
      files,
      write: async (line) => {
        seen.push(`begin ${line}`);
        await new Promise((resolve) => setImmediate(resolve));
        seen.push(`end ${line}`);
      },
    });
    expect(seen.map((entry) => entry.split(' ')[0])).toEqual(['begin', 'end', 'begin', 'end']);
  });

  it('names file, line and field of the first bad row', async () => {
    await write({ 'rows.jsonl': `${'{"prompt":"a"}\n'.repeat(36)}{"answer":"b"}\n{"prompt":"c"}\n` });
    expect(await refusal('prompts', 'rows.jsonl')).toMatchObject({
      code: 'DATASET_INVALID_ROW',
      line: 37,
      field: 'prompt',
      message: 'Line 37 of rows.jsonl: `prompt` is missing.',
    });
  });

  it('counts blank lines when it names a line', async () => {
    await write({ 'rows.jsonl': '\n{"prompt":"a"}\n\n\nnot json\n' });
    expect(await refusal('prompts', 'rows.jsonl')).toMatchObject({ code: 'DATASET_INVALID_ROW', line: 5 });
  });

  interface Refused {
    what: string;
    kind: DatasetKind;
    files: Record<string, string | Uint8Array>;
    code: string;
    name?: string;
  }
  it.each<Refused>([
    { what: 'an empty file', kind: 'prompts', files: { 'a.jsonl': '' }, code: 'DATASET_EMPTY' },
    { what: 'blank lines alone', kind: 'prompts', files: { 'a.jsonl': '\n \r\n' }, code: 'DATASET_EMPTY' },
    { what: 'an empty text', kind: 'text', files: { 'a.txt': ' \n<|endoftext|>\n' }, code: 'DATASET_EMPTY' },
    { what: 'a folder without texts', kind: 'text', files: { 'a.pdf': 'x' }, name: '.', code: 'DATASET_EMPTY' },
    { what: 'a text for rows', kind: 'prompts', files: { 'a.txt': 'x' }, code: 'UNSUPPORTED_MEDIA_TYPE' },
    { what: 'an unknown ending', kind: 'text', files: { 'a.pdf': 'x' }, code: 'UNSUPPORTED_MEDIA_TYPE' },
    { what: 'a missing file', kind: 'text', files: {}, name: 'gone.txt', code: 'FILE_NOT_FOUND' },
    {
      what: 'bytes that are not UTF-8',
      kind: 'text',
      files: { 'a.txt': Buffer.of(0x61, 0xff) },
      code: 'DATASET_INVALID_ROW',
    },
  ])('refuses $what', async ({ kind, files, code, name }) => {
    await write(files);
    expect(await refusal(kind, name ?? Object.keys(files)[0])).toMatchObject({ code });
  });

  it('reads what the demo world writes', async () => {
    const world = buildDemoWorld({ seed: 1, documents: 300, prompts: 50, demonstrations: 20 });
    await writeDemoWorld(world, folder);
    expect(await read('text', 'corpus.jsonl')).toMatchObject({ rows: 300 });
    expect(await read('demonstrations', 'demonstrations.jsonl')).toMatchObject({ rows: 20 });
    expect(await read('prompts', 'prompts.jsonl')).toMatchObject({
      rows: 50,
      statistics: { answers: 50, duplicates: 0 },
    });
    expect(await read('prompts', 'test-prompts.jsonl')).toMatchObject({ rows: 600, statistics: { answers: 600 } });
  });
});
