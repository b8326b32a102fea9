import { PairQueue } from './pair-queue';

/** A word of the corpus as symbol ids, and how often it occurs. */
export interface CountedWord {
  symbols: number[];
  readonly count: number;
}

/** Pairs that the corpus holds only once teach nothing; learning stops there. */
const minimumCount = 2;

/** Ids stay far below this, so a pair of ids fits one exact number whose order is (left, right). */
const idLimit = 2 ** 26;

/**
 * Learns byte-pair merges (Sennrich et al. 2016) until there are `vocabSize` tokens or no pair occurs twice: each step
 * merges the most frequent pair of neighbours; of equally frequent pairs the one with the smaller left id wins, then
 * the smaller right id. That is the order of Hugging Face's `BpeTrainer`.
 *
 * `tokens` holds the initial symbols by id and is extended; each word's `symbols` are rewritten as merges apply. Pair
 * counts are updated only for the words that hold the merged pair.
 *
 * @returns the merged pairs as token strings, in order of learning
 */
export function learnMerges(words: readonly CountedWord[], tokens: string[], vocabSize: number): [string, string][] {
  const idOf = new Map(tokens.map((token, id) => [token, id]));
  const intern = (token: string): number => {
    const known = idOf.get(token);
    if (known !== undefined) return known;
    idOf.set(token, tokens.length);
    return tokens.push(token) - 1;
  };
  const counts = new PairCounts(words);
  const merges = new Map<number, [string, string]>();
  while (tokens.length < vocabSize) {
    const pair = counts.takeMostFrequent();
    if (pair === undefined) break;
    const [left, right] = [Math.floor(pair / idLimit), pair % idLimit];
    // Two ways to spell one token share its id, so a pair can come back after it was merged; it keeps its first place.
    if (!merges.has(pair)) merges.set(pair, [tokens[left], tokens[right]]);
    counts.replace(pair, intern(tokens[left] + tokens[right]));
  }
  return [...merges.values()];
}

/** How often each pair of neighbouring symbols occurs, kept up to date while pairs are replaced. */
class PairCounts {
  private readonly counts = new Map<number, number>();
  private readonly holders = new Map<number, Set<number>>();
  private readonly queue = new PairQueue();
  private readonly countsBefore = new Map<number, number>();

  constructor(private readonly words: readonly CountedWord[]) {
    for (let word = 0; word < words.length; word++) this.count(word, 1);
    this.enqueueChanges();
  }

  takeMostFrequent(): number | undefined {
    for (;;) {
      const best = this.queue.pop();
      // An entry whose count has changed since is stale; the newer count has an entry of its own.
      if (best === undefined || this.counts.get(best.pair) === best.count) return best?.pair;
    }
  }

  /** Replaces a pair by one symbol in every word that holds it. */
  replace(pair: number, merged: number): void {
    const holding = this.holders.get(pair) ?? [];
    this.holders.delete(pair);
    for (const word of holding) {
      this.count(word, -1);
      this.words[word].symbols = replacePair(this.words[word].symbols, pair, merged);
      this.count(word, 1);
    }
    this.enqueueChanges();
  }

  private count(word: number, sign: 1 | -1): void {
    const { symbols, count } = this.words[word];
    for (let i = 0; i + 1 < symbols.length; i++) {
      const pair = symbols[i] * idLimit + symbols[i + 1];
      const before = this.counts.get(pair) ?? 0;
      if (!this.countsBefore.has(pair)) this.countsBefore.set(pair, before);
      this.counts.set(pair, before + sign * count);
      if (sign === 1) this.hold(pair, word);
    }
  }

  private hold(pair: number, word: number): void {
    const holding = this.holders.get(pair);
    if (holding) holding.add(word);
    else this.holders.set(pair, new Set([word]));
  }

  private enqueueChanges(): void {
    for (const [pair, before] of this.countsBefore) {
      const now = this.counts.get(pair) ?? 0;
      if (now === 0) this.counts.delete(pair);
      if (now !== before && now >= minimumCount) this.queue.push(now, pair);
    }
    this.countsBefore.clear();
  }
}

/** Replaces every non-overlapping occurrence of the pair, from left to right. */
function replacePair(symbols: readonly number[], pair: number, merged: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < symbols.length; i++) {
    const isPair = i + 1 < symbols.length && symbols[i] * idLimit + symbols[i + 1] === pair;
    out.push(isPair ? merged : symbols[i]);
    if (isPair) i++;
  }
  return out;
}
