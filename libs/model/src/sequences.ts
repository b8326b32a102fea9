import { PavlovError } from '@pavlov/contracts';

/** Throws unless every sequence has a token and fits, and every token is an id. */
export function checkSequences(
  sequences: readonly (readonly number[])[],
  { longest, vocabSize }: { longest: number; vocabSize: number },
): void {
  sequences.forEach((sequence, index) => {
    if (sequence.length === 0) throw new RangeError(`Sequence ${index} has no token`);
    if (sequence.length > longest) {
      throw new PavlovError({
        code: 'SEQUENCE_TOO_LONG',
        message: `Sequence ${index} has ${sequence.length} tokens; there is room for ${longest}.`,
        hint: 'Shorten the text, or use a model with a longer context.',
      });
    }
    const stranger = sequence.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (stranger !== undefined)
      throw new RangeError(`Sequence ${index} holds ${stranger}, which is not a token id below ${vocabSize}`);
  });
}

/** Writes sequences into the rows of `target` [rows, columns], right-padded; rows without a sequence are all padding. */
export function layOut(
  sequences: readonly (readonly number[])[],
  target: Int32Array,
  { columns, padId }: { columns: number; padId: number },
): void {
  target.fill(padId);
  sequences.forEach((sequence, row) => target.set(sequence, row * columns));
}
