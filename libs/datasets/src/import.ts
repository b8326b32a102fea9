import { type DatasetKind, type DatasetRows, PavlovError } from '@pavlov/contracts';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { createPrefixFilter } from './dedupe';
import { createDescriber, type DatasetDescription } from './describe';
import { readLines } from './lines';
import { parseRow } from './rows';

/** A file or folder on this machine. */
export interface DatasetSourceFile {
  /** What its sender calls it; its ending says what it holds where it has one, else the path's does. */
  readonly name: string;
  readonly path: string;
}

/** Stands on a line of its own between two documents of one text file. */
export const documentSeparator = '<|endoftext|>';

const plainText = ['.txt', '.md'];
const jsonLines = ['.jsonl', '.ndjson'];

export interface DatasetImport<K extends DatasetKind> {
  readonly kind: K;
  /** Read in the given order; what a folder holds, by path. */
  readonly files: readonly DatasetSourceFile[];
  /**
   * Drops rows whose prompt shares its first so many characters with an earlier row's; the statistic `droppedByPrefix`
   * counts them. For prompts and demonstrations; by default nothing is dropped.
   */
  readonly dedupePrefix?: number;
  /** Takes each row as it is read, as a line of normalised JSON Lines with its end. */
  readonly write?: (line: string) => void | Promise<void>;
}

/**
 * Reads, validates and normalises a user's files: JSON Lines of any kind, and for `text` also .txt and .md, where each
 * file is one document unless `<|endoftext|>` on lines of their own divide it. Folders are searched for such files.
 * Equal rows give equal lines, and so one hash, whatever the order of fields, line ends, blank lines or byte order marks.
 *
 * @throws PavlovError DATASET_INVALID_ROW with line and field, DATASET_EMPTY if there is no row at all,
 *   UNSUPPORTED_MEDIA_TYPE for a file with another ending, FILE_NOT_FOUND, CONFIG_CONFLICT for a kind that has no prompts
 *   to deduplicate.
 */
export async function importDataset<K extends DatasetKind>({
  kind,
  files,
  dedupePrefix,
  write,
}: DatasetImport<K>): Promise<DatasetDescription> {
  const describer = createDescriber(kind);
  const isRepeat = dedupePrefix === undefined ? undefined : createPrefixFilter(kind, dedupePrefix);
  let droppedByPrefix = 0;
  for (const source of files) {
    for await (const file of expand(source, kind)) {
      for await (const row of readFile(file, kind)) {
        if (isRepeat?.(row)) {
          droppedByPrefix++;
          continue;
        }
        const line = describer.add(row);
        await write?.(line);
      }
    }
  }
  const { statistics, ...description } = describer.finish();
  if (description.rows > 0)
    return { ...description, statistics: { ...statistics, ...(isRepeat && { droppedByPrefix }) } };
  throw new PavlovError({
    code: 'DATASET_EMPTY',
    message: `There is no row in ${files.map(({ name }) => name).join(', ') || 'no files'}.`,
    hint:
      kind === 'text'
        ? 'Give .txt, .md or .jsonl files with some text in them.'
        : 'Give a .jsonl file with at least one row.',
  });
}

/** The file itself, or the readable files of a folder and its subfolders, by path. Hidden ones are left out. */
async function* expand(source: DatasetSourceFile, kind: DatasetKind): AsyncGenerator<DatasetSourceFile> {
  const found = await stat(source.path).catch((cause: unknown) => {
    throw new PavlovError(
      {
        code: 'FILE_NOT_FOUND',
        message: `${source.name} cannot be read.`,
        hint: 'Check the path and its permissions.',
      },
      { cause },
    );
  });
  if (!found.isDirectory()) {
    yield source;
    return;
  }
  const entries = (await readdir(source.path)).filter((entry) => !entry.startsWith('.')).sort();
  for (const entry of entries) {
    const inner = { name: join(source.name, entry), path: join(source.path, entry) };
    if ((await stat(inner.path)).isDirectory()) yield* expand(inner, kind);
    else if (endingsOf(kind).includes(extname(entry).toLowerCase())) yield inner;
  }
}

function endingsOf(kind: DatasetKind): readonly string[] {
  return kind === 'text' ? [...plainText, ...jsonLines] : jsonLines;
}

async function* readFile<K extends DatasetKind>(
  { name, path }: DatasetSourceFile,
  kind: K,
): AsyncGenerator<DatasetRows[K]> {
  const ending = (extname(name) || extname(path)).toLowerCase();
  if (!endingsOf(kind).includes(ending)) {
    throw new PavlovError({
      code: 'UNSUPPORTED_MEDIA_TYPE',
      message: `${name} is no file that a dataset of kind “${kind}” is read from.`,
      hint: `Give files that end in ${endingsOf(kind).join(', ')}.`,
    });
  }
  const lines = readLines(createReadStream(path), name);
  if (plainText.includes(ending)) {
    // Only `text` allows these endings.
    for await (const text of readDocuments(lines)) yield { text } as DatasetRows[K];
    return;
  }
  for await (const { line, text } of lines) {
    if (text.trim() !== '') yield parseRow({ kind, text, line, fileName: name });
  }
}

/** Documents of a plain text, without the blank lines around them. */
async function* readDocuments(lines: AsyncIterable<{ text: string }>): AsyncGenerator<string> {
  let document: string[] = [];
  const take = (): string => {
    const text = document.join('\n').trim();
    document = [];
    return text;
  };
  for await (const { text } of lines) {
    if (text.trim() !== documentSeparator) {
      document.push(text);
      continue;
    }
    const finished = take();
    if (finished !== '') yield finished;
  }
  const last = take();
  if (last !== '') yield last;
}
