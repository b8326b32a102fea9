import { type DemonstrationRow, PavlovError } from '@pavlov/contracts';
import { type Tokenizer } from '@pavlov/tokenizer';
import { type TokenBatch } from './packing';

/** A demonstration as token ids: the prompt as the chat template renders it, then the answer with its EOS. */
export interface EncodedDemonstration {
  readonly prompt: readonly number[];
  readonly completion: readonly number[];
  /** Who wrote it, where that is known. */
  readonly user?: string;
}

/** Rows of messages are learned in their last answer; what comes before is the prompt. */
export function encodeDemonstration(
  row: DemonstrationRow,
  tokenizer: Pick<Tokenizer, 'encodePrompt' | 'encodeCompletion'>,
): EncodedDemonstration {
  const { user } = row;
  if ('messages' in row) {
    const last = row.messages[row.messages.length - 1];
    return {
      prompt: tokenizer.encodePrompt(row.messages.slice(0, -1)),
      completion: tokenizer.encodeCompletion(last.content),
      user,
    };
  }
  return { prompt: tokenizer.encodePrompt(row.prompt), completion: tokenizer.encodeCompletion(row.completion), user };
}

/** @throws PavlovError SEQUENCE_TOO_LONG naming the row, from 1, that does not fit the context. */
export function encodeDemonstrations(
  rows: readonly DemonstrationRow[],
  {
    tokenizer,
    contextLength,
  }: { tokenizer: Pick<Tokenizer, 'encodePrompt' | 'encodeCompletion'>; contextLength: number },
): EncodedDemonstration[] {
  return rows.map((row, index) => {
    const encoded = encodeDemonstration(row, tokenizer);
    const length = encoded.prompt.length + encoded.completion.length;
    if (length <= contextLength) return encoded;
    throw new PavlovError({
      code: 'SEQUENCE_TOO_LONG',
      field: 'dataset',
      line: index + 1,
      message: `The demonstration in row ${index + 1} has ${length} tokens; the context holds ${contextLength}.`,
      hint: 'Shorten or drop that row, or start from a policy with a longer context.',
    });
  });
}

/** Lays demonstrations out on a grid, right-padded; only completions are learned. Missing rows are padding. */
export function layOutDemonstrations(
  batch: readonly EncodedDemonstration[],
  { rows, columns, padId }: { rows: number; columns: number; padId: number },
): TokenBatch {
  if (batch.length > rows) throw new RangeError(`${batch.length} demonstrations do not fit ${rows} rows`);
  const tokens = new Int32Array(rows * columns).fill(padId);
  const targets = new Int32Array(rows * columns).fill(padId);
  const mask = new Float32Array(rows * columns);
  batch.forEach(({ prompt, completion }, row) => {
    const sequence = [...prompt, ...completion];
    if (sequence.length > columns + 1)
      throw new RangeError(`a demonstration of ${sequence.length} tokens does not fit ${columns} columns`);
    const start = row * columns;
    tokens.set(sequence.slice(0, -1), start);
    targets.set(sequence.slice(1), start);
    mask.fill(1, start + prompt.length - 1, start + sequence.length - 1);
  });
  return { tokens, targets, mask };
}
