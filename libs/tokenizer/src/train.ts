import { PavlovError } from '@pavlov/contracts';
import { byteAlphabet, wordPattern } from './bytes';
import { type SpecialTokens, type TokenizerFiles, defaultSpecialTokens, writeTokenizerFiles } from './files';
import { type CountedWord, learnMerges } from './merges';

export interface TrainOptions {
  /** Tokens in all: special tokens, 256 bytes, merges. The result has fewer when the corpus runs out of pairs. */
  readonly vocabSize: number;
  readonly specialTokens?: SpecialTokens;
}

/**
 * Trains a byte-level BPE tokenizer (Radford et al. 2019) on a corpus. The same texts in the same order give the same
 * bytes. Ids: the special tokens, the 256 bytes in the order of their characters, then the merges.
 *
 * @throws PavlovError INVALID_REQUEST when `vocabSize` has no room for the bytes, DATASET_EMPTY when there is no text
 */
export function trainByteLevelBpe(texts: Iterable<string>, options: TrainOptions): TokenizerFiles {
  const { vocabSize, specialTokens = defaultSpecialTokens } = options;
  const tokens = [specialTokens.eos, specialTokens.pad, ...[...byteAlphabet].sort()];
  if (!Number.isInteger(vocabSize) || vocabSize < tokens.length) {
    throw new PavlovError({
      code: 'INVALID_REQUEST',
      field: 'vocabSize',
      message: `A byte-level vocabulary needs at least ${tokens.length} tokens (256 bytes and the special ones), got ${vocabSize}.`,
      hint: `Set vocabSize to a whole number of at least ${tokens.length}.`,
    });
  }
  requireUnlearnable(specialTokens);
  const words = countWords(texts, tokens);
  if (words.length === 0) {
    throw new PavlovError({
      code: 'DATASET_EMPTY',
      message: 'The corpus holds no text, so there is nothing to train a tokenizer on.',
      hint: 'Give at least one document that is not empty.',
    });
  }
  const merges = learnMerges(words, tokens, vocabSize);
  return writeTokenizerFiles({ tokens, merges, specialTokens });
}

/** The distinct words of the corpus as byte ids, in order of first appearance. */
function countWords(texts: Iterable<string>, tokens: readonly string[]): CountedWord[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    // One match at a time: a document of hundreds of megabytes must not become one array of all its words.
    const pattern = wordPattern();
    for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
      counts.set(match[0], (counts.get(match[0]) ?? 0) + 1);
    }
  }
  const idOf = new Map(tokens.map((token, id) => [token, id]));
  const byteIds = byteAlphabet.map((character) => idOf.get(character) as number);
  const encoder = new TextEncoder();
  return [...counts].map(([word, count]) => ({
    count,
    symbols: Array.from(encoder.encode(word), (byte) => byteIds[byte]),
  }));
}

/** A special token that is one word of ordinary text could be learned as a merge, and text would then produce it. */
function requireUnlearnable(specialTokens: SpecialTokens): void {
  const { eos, pad } = specialTokens;
  for (const token of [eos, pad]) {
    if (eos === pad || (token.match(wordPattern()) ?? []).length < 2) {
      throw new PavlovError({
        code: 'INVALID_REQUEST',
        field: 'specialTokens',
        message: `"${token}" cannot be a special token: ${eos === pad ? 'end and padding must differ' : 'ordinary text could produce it'}.`,
        hint: 'Use two different names that mix letters and signs, such as <|endoftext|> and <|pad|>.',
      });
    }
  }
}
