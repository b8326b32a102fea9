import { type Store } from '@pavlov/checkpoint-store';
import { datasetFile, type DatasetKind, type DatasetRows, type RankingRow } from '@pavlov/contracts';
import { asRankedCompletions, encodeDemonstration } from '@pavlov/datasets';
import { type Tokenizer } from '@pavlov/tokenizer';
import { setImmediate as breathe } from 'node:timers/promises';

/** Rows between two pauses in which other requests are served. */
const rowsPerBreath = 256;
/** Rows that are counted in tokens, at some 0.2 ms each: the client waits. The stage itself counts every row once more. */
const maxCounted = 20_000;

/** A row, counted from 1, and its length in tokens. */
export interface RowLength {
  readonly line: number;
  readonly tokens: number;
}

type Encoder = Pick<Tokenizer, 'encodePrompt' | 'encodeCompletion' | 'renderPrompt' | 'decode'>;

interface Measure<Row> {
  /** Tokens of the row as the stages encode it. */
  tokens(row: Row, encoder: Encoder): number;
  /** Everything that people wrote, which no byte-level tokenizer turns into more tokens than it has bytes. */
  texts(row: Row): readonly string[];
}

/** What is measured of a dataset: its rows, or of rankings the prompts alone. */
interface MeasuredRows extends Omit<DatasetRows, 'text'> {
  readonly 'ranked-prompts': RankingRow;
}
export type MeasuredKind = keyof MeasuredRows;

const measures: { readonly [K in MeasuredKind]: Measure<MeasuredRows[K]> } = {
  prompts: {
    tokens: ({ prompt }, encoder) => encoder.encodePrompt(prompt).length,
    texts: ({ prompt }) => [prompt],
  },
  demonstrations: {
    tokens: (row, encoder) => {
      const { prompt, completion } = encodeDemonstration(row, encoder);
      return prompt.length + completion.length;
    },
    texts: (row) => ('messages' in row ? row.messages.map(({ content }) => content) : [row.prompt, row.completion]),
  },
  rankings: {
    tokens: (row, encoder) => {
      const { prompt, completions } = asRankedCompletions(row);
      const answers = completions.map((completion) => encoder.encodeCompletion(completion).length);
      return encoder.encodePrompt(prompt).length + Math.max(...answers);
    },
    texts: (row) => {
      const { prompt, completions } = asRankedCompletions(row);
      return [prompt, completions.reduce((a, b) => (Buffer.byteLength(b) > Buffer.byteLength(a) ? b : a))];
    },
  },
  'ranked-prompts': {
    tokens: ({ prompt }, encoder) => encoder.encodePrompt(prompt).length,
    texts: ({ prompt }) => [prompt],
  },
};

interface Wanted {
  readonly kind: MeasuredKind;
  readonly encoder: Encoder;
  /** Most tokens that a row may have. */
  readonly room: number;
  /** Only the first so many rows. */
  readonly limit?: number;
}

/** Looks into the rows of datasets in the store. */
export interface DatasetRowsReader {
  /** The first row of which the probe gives something, counted from 1. */
  find<K extends DatasetKind, P>(
    id: string,
    options: { probe: (row: DatasetRows[K]) => P | undefined; limit?: number },
  ): Promise<{ line: number; probed: P } | undefined>;
  /** A row that has too many tokens. */
  findLong(id: string, wanted: Wanted): Promise<RowLength | undefined>;
  /** The shortest row, if not even that one has few enough tokens. */
  findShortestIfLong(id: string, wanted: Wanted): Promise<RowLength | undefined>;
}

/** More bytes than a chat template puts around one message. */
function bytesAround(encoder: Encoder): number {
  const prompt = encoder.renderPrompt([{ role: 'user', content: 'x' }]);
  const answer = encoder.decode(encoder.encodeCompletion('x'));
  return Buffer.byteLength(prompt) + Buffer.byteLength(answer);
}

export function createDatasetRowsReader(store: Store): DatasetRowsReader {
  async function* rowsOf(id: string, limit = Infinity): AsyncGenerator<{ line: number; row: unknown }> {
    const lines = (await store.datasets.read(id, datasetFile)).toString('utf8').split('\n');
    for (const [index, text] of lines.entries()) {
      if (index >= limit || text === '') return;
      if (index % rowsPerBreath === 0) await breathe();
      yield { line: index + 1, row: JSON.parse(text) as unknown };
    }
  }

  /** Counts a row in tokens only where its bytes leave it open whether it fits. */
  async function split(id: string, { kind, encoder, room, limit }: Wanted) {
    const measure = measures[kind] as Measure<unknown>;
    const around = bytesAround(encoder);
    const doubtful: { line: number; row: unknown; bytes: number }[] = [];
    let fitting = 0;
    for await (const { line, row } of rowsOf(id, limit)) {
      const bytes = measure.texts(row).reduce((sum, text) => sum + Buffer.byteLength(text) + around, 0);
      if (bytes > room) doubtful.push({ line, row, bytes });
      else fitting += 1;
    }
    return { fitting, doubtful: doubtful.sort((a, b) => a.bytes - b.bytes), measure };
  }

  /** The lengths of rows, some at a time. */
  async function* lengthsOf(
    rows: readonly { line: number; row: unknown }[],
    count: (row: unknown) => number,
  ): AsyncGenerator<RowLength> {
    for (const [index, { line, row }] of rows.slice(0, maxCounted).entries()) {
      if (index % rowsPerBreath === 0) await breathe();
      yield { line, tokens: count(row) };
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
    /** Those with most bytes first. */
    findLong: async (id, wanted) => {
      const { doubtful, measure } = await split(id, wanted);
      const count = (row: unknown): number => measure.tokens(row, wanted.encoder);
      for await (const length of lengthsOf(doubtful.reverse(), count)) if (length.tokens > wanted.room) return length;
      return undefined;
    },
    /** Those with fewest bytes first. What is not counted may fit. */
    findShortestIfLong: async (id, wanted) => {
      const { fitting, doubtful, measure } = await split(id, wanted);
      if (fitting > 0 || doubtful.length > maxCounted) return undefined;
      const count = (row: unknown): number => measure.tokens(row, wanted.encoder);
      let shortest: RowLength | undefined;
      for await (const length of lengthsOf(doubtful, count)) {
        if (length.tokens <= wanted.room) return undefined;
        if (shortest === undefined || length.tokens < shortest.tokens) shortest = length;
      }
      return shortest;
    },
  };
}
