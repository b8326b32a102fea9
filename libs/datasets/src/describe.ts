import { type DatasetKind, type DatasetManifest, type DatasetRows } from '@pavlov/contracts';
import { createHash } from 'node:crypto';
import { minimumTokens } from './pre-tokens';
import { asRankedCompletions } from './rows';

/** What a manifest says about rows. `sha256` and `bytes` are of the rows as JSON Lines. */
export type DatasetDescription = Pick<DatasetManifest, 'rows' | 'bytes' | 'sha256' | 'statistics'>;

/** Describes rows one at a time, so that they need not all be in memory. */
export interface Describer<K extends DatasetKind> {
  /** Counts a row; returns its line, end included. */
  add(row: DatasetRows[K]): string;
  finish(): DatasetDescription;
}

/**
 * Statistics of every kind: `duplicates` (rows that repeat an earlier one), `minimumTokens` (lower bound on the tokens of
 * all rows), `longestRow` (its number, from 1) and `longestRowMinimumTokens`. For a ranking the length is that of the
 * prompt with its longest answer.
 * - demonstrations: `conversations`, rows in the form of messages.
 * - prompts: `answers`, rows with an answer key.
 * - rankings: `pairs`, `tiedPairs`, `allTied` (rankings without any untied pair, from which nothing can be learned), and
 *   `rankingsOf2` … `rankingsOf9`, how many have that many answers.
 */
export function createDescriber<K extends DatasetKind>(kind: K): Describer<K> {
  const hash = createHash('sha256');
  const seen = new Set<string>();
  const statistics: Record<string, number> = {
    duplicates: 0,
    minimumTokens: 0,
    longestRow: 0,
    longestRowMinimumTokens: 0,
  };
  for (const name of ownStatistics[kind]) statistics[name] = 0;
  let rows = 0;
  let bytes = 0;

  return {
    add: (row) => {
      const line = lineOf(row);
      rows++;
      bytes += Buffer.byteLength(line);
      hash.update(line);

      const key = createHash('sha256').update(line).digest('base64');
      if (seen.has(key)) statistics.duplicates++;
      seen.add(key);

      const length = lengthOf[kind](row);
      statistics.minimumTokens += length;
      if (length > statistics.longestRowMinimumTokens) {
        statistics.longestRow = rows;
        statistics.longestRowMinimumTokens = length;
      }
      countOwn[kind](row, statistics);
      return line;
    },
    finish: () => ({ rows, bytes, sha256: hash.digest('hex'), statistics }),
  };
}

/** Rows as they stand in the store: JSON Lines, one row a line. */
export function serialiseRows<K extends DatasetKind>(rows: readonly DatasetRows[K][]): string {
  return rows.map(lineOf).join('');
}

/** The description of rows in memory. */
export function describeRows<K extends DatasetKind>(kind: K, rows: readonly DatasetRows[K][]): DatasetDescription {
  const describer = createDescriber(kind);
  for (const row of rows) describer.add(row);
  return describer.finish();
}

function lineOf(row: object): string {
  return `${JSON.stringify(row)}\n`;
}

const ownStatistics: Readonly<Record<DatasetKind, readonly string[]>> = {
  text: [],
  demonstrations: ['conversations'],
  prompts: ['answers'],
  rankings: ['pairs', 'tiedPairs', 'allTied'],
};

/** Lower bound on the tokens of a row; an answer or document has its EOS besides. */
const lengthOf: { readonly [K in DatasetKind]: (row: DatasetRows[K]) => number } = {
  text: ({ text }) => minimumTokens(text) + 1,
  demonstrations: (row) =>
    'messages' in row
      ? row.messages.reduce((sum, { content }) => sum + minimumTokens(content), 1)
      : minimumTokens(row.prompt) + minimumTokens(row.completion) + 1,
  prompts: ({ prompt }) => minimumTokens(prompt),
  rankings: (row) => {
    const { prompt, completions } = asRankedCompletions(row);
    return minimumTokens(prompt) + Math.max(...completions.map(minimumTokens)) + 1;
  },
};

const countOwn: { readonly [K in DatasetKind]: (row: DatasetRows[K], statistics: Record<string, number>) => void } = {
  text: () => undefined,
  demonstrations: (row, statistics) => {
    if ('messages' in row) statistics.conversations++;
  },
  prompts: (row, statistics) => {
    if (row.answer !== undefined) statistics.answers++;
  },
  rankings: (row, statistics) => {
    const { ranks } = asRankedCompletions(row);
    const pairs = (ranks.length * (ranks.length - 1)) / 2;
    const tied = ranks.reduce((sum, rank, i) => sum + ranks.slice(i + 1).filter((other) => other === rank).length, 0);
    const size = `rankingsOf${ranks.length}`;
    statistics.pairs += pairs;
    statistics.tiedPairs += tied;
    if (tied === pairs) statistics.allTied++;
    statistics[size] = (statistics[size] ?? 0) + 1;
  },
};
