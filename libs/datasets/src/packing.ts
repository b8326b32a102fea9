import { type Tokenizer } from '@pavlov/tokenizer';
import { batchOrder } from './order';

/** B sequences on a grid of T columns, flat and row-major. Column t predicts token t + 1 of its row. */
export interface TokenBatch {
  /** [B, T] */
  readonly tokens: Int32Array;
  /** The next token of each column, [B, T]. */
  readonly targets: Int32Array;
  /** 1 where the target is learned, 0 elsewhere, [B, T]. */
  readonly mask: Float32Array;
}

/** Documents as one stream of tokens, EOS after each, cut into rows of T tokens and the one that follows. */
export interface PackedRows {
  /** Rows of T columns; a last, shorter one is padded. */
  readonly rows: number;
  /** Tokens in the stream. */
  readonly tokens: number;
  /** The batch of a step: rows in shuffled passes, a pure function of seed and step. */
  batchAt(step: number, size: number): TokenBatch;
  /** Every row once, in order. */
  everyBatch(size: number): Generator<TokenBatch>;
}

export interface PackingOptions {
  readonly tokenizer: Pick<Tokenizer, 'encode' | 'eosId' | 'padId'>;
  /** T. */
  readonly columns: number;
  readonly seed: number;
}

/** Packs documents into rows. A row may begin inside a document, as in GPT-2's training. No documents make no rows. */
export function packDocuments(documents: readonly string[], { tokenizer, columns, seed }: PackingOptions): PackedRows {
  const encoded = documents.map((document) => [...tokenizer.encode(document), tokenizer.eosId]);
  const stream = new Int32Array(encoded.reduce((sum, ids) => sum + ids.length, 0));
  let position = 0;
  for (const ids of encoded) {
    stream.set(ids, position);
    position += ids.length;
  }
  // The last token has no successor to predict.
  const rows = Math.ceil(Math.max(stream.length - 1, 0) / columns);

  const layOut = (chosen: readonly number[], size: number): TokenBatch => {
    const tokens = new Int32Array(size * columns).fill(tokenizer.padId);
    const targets = new Int32Array(size * columns).fill(tokenizer.padId);
    const mask = new Float32Array(size * columns);
    chosen.forEach((row, index) => {
      const start = row * columns;
      const next = stream.subarray(start + 1, start + columns + 1);
      tokens.set(stream.subarray(start, start + next.length), index * columns);
      targets.set(next, index * columns);
      mask.fill(1, index * columns, index * columns + next.length);
    });
    return { tokens, targets, mask };
  };

  const rowsAt = batchOrder({ seed, purpose: 'packing/order', count: rows });
  return {
    rows,
    tokens: stream.length,
    batchAt: (step, size) => layOut(rowsAt(step, size), size),
    *everyBatch(size) {
      for (let start = 0; start < rows; start += size)
        yield layOut(
          Array.from({ length: Math.min(size, rows - start) }, (_, index) => start + index),
          size,
        );
    },
  };
}
