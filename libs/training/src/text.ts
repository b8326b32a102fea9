import { type Store } from '@pavlov/checkpoint-store';
import { packDocuments, type PackedRows, type TokenBatch } from '@pavlov/datasets';
import { type Tokenizer } from '@pavlov/tokenizer';
import { readRows } from './rows';

/** Batches of B rows of T columns from a dataset of kind `text`. */
export interface TextBatches {
  /** The batch of a step: a pure function of seed and step. */
  batchAt(step: number): TokenBatch;
  /** Every row once. */
  everyBatch(): Iterable<TokenBatch>;
}

export async function openTextBatches(
  store: Store,
  options: { id: string; tokenizer: Tokenizer; rows: number; columns: number; seed: number },
): Promise<TextBatches> {
  const documents = (await readRows(store, { id: options.id, kind: 'text' })).map(({ text }) => text);
  const packed: PackedRows = packDocuments(documents, options);
  return { batchAt: (step) => packed.batchAt(step, options.rows), everyBatch: () => packed.everyBatch(options.rows) };
}
