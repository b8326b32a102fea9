import { type Store } from '@pavlov/checkpoint-store';
import { datasetFile, type DatasetKind, type DatasetRows } from '@pavlov/contracts';
import { asRankedCompletions, encodeDemonstration } from '@pavlov/datasets';
import { type Tokenizer } from '@pavlov/tokenizer';
import { setImmediate as breathe } from 'node:timers/promises';

/** Rows between two pauses in which other requests are served. */
const rowsPerBreath = 256;
/** Measurements kept; each is a few numbers. */
const maxMeasurements = 1000;

/** The longest row of a dataset, counted from 1, and its length in tokens. */
export interface LongestRow {
  readonly line: number;
  readonly tokens: number;
}

type Encoder = Pick<Tokenizer, 'encodePrompt' | 'encodeCompletion' | 'fingerprint'>;

/** Tokens of a row as the stages encode it. */
const lengthOf: { readonly [K in Exclude<DatasetKind, 'text'>]: (row: DatasetRows[K], tokenizer: Encoder) => number } =
  {
    prompts: ({ prompt }, tokenizer) => tokenizer.encodePrompt(prompt).length,
    demonstrations: (row, tokenizer) => {
      const { prompt, completion } = encodeDemonstration(row, tokenizer);
      return prompt.length + completion.length;
    },
    rankings: (row, tokenizer) => {
      const { prompt, completions } = asRankedCompletions(row);
      return (
        tokenizer.encodePrompt(prompt).length +
        Math.max(...completions.map((completion) => tokenizer.encodeCompletion(completion).length))
      );
    },
  };

export type MeasuredKind = keyof typeof lengthOf;

/** Looks into the rows of datasets in the store. Neither rows nor tokenizers ever change, so what was measured stays true. */
export interface DatasetRowsReader {
  /** The first row of which the probe gives something, counted from 1. */
  find<K extends DatasetKind, P>(
    id: string,
    options: { probe: (row: DatasetRows[K]) => P | undefined; limit?: number },
  ): Promise<{ line: number; probed: P } | undefined>;
  longest(id: string, kind: MeasuredKind, options: { tokenizer: Encoder; limit?: number }): Promise<LongestRow>;
}

export function createDatasetRowsReader(store: Store): DatasetRowsReader {
  const measured = new Map<string, LongestRow>();

  async function* rowsOf(id: string, limit = Infinity): AsyncGenerator<{ line: number; row: unknown }> {
    const lines = (await store.datasets.read(id, datasetFile)).toString('utf8').split('\n');
    for (const [index, text] of lines.entries()) {
      if (index >= limit || text === '') return;
      if (index % rowsPerBreath === 0) await breathe();
      yield { line: index + 1, row: JSON.parse(text) as unknown };
    }
  }

  return {
    find: async (id, { probe, limit }) => {
      for await (const { line, row } of rowsOf(id, limit)) {
        const probed = probe(row as never);
        if (probed !== undefined) return { line, probed };
      }
      return undefined;
    },
    longest: async (id, kind, { tokenizer, limit }) => {
      const key = [id, tokenizer.fingerprint, limit].join(' ');
      const known = measured.get(key);
      if (known !== undefined) return known;
      let longest: LongestRow = { line: 1, tokens: 0 };
      for await (const { line, row } of rowsOf(id, limit)) {
        const tokens = lengthOf[kind](row as never, tokenizer);
        if (tokens > longest.tokens) longest = { line, tokens };
      }
      if (measured.size >= maxMeasurements) measured.clear();
      measured.set(key, longest);
      return longest;
    },
  };
}
