import { philox4x32 } from './philox';

const { cos, floor, imul, log, max, PI, sqrt } = Math;

/** A stream of random numbers. Two streams opened with the same arguments give the same numbers. */
export interface RandomStream {
  /** Uniform 32-bit unsigned integer. */
  uint32(): number;
  /** Uniform in [0, 1), 53 bits. */
  uniform(): number;
  /** Standard normal (Box–Muller). */
  normal(): number;
  /** Standard Gumbel, −log(−log u). */
  gumbel(): number;
  /** Uniform integer in [0, n). */
  below(n: number): number;
  /** One item, uniformly. Throws on an empty list. */
  pick<T>(items: readonly T[]): T;
  /** A shuffled copy (Fisher–Yates). */
  shuffle<T>(items: readonly T[]): T[];
}

/** 32-bit FNV-1a with a final avalanche, so that purposes which differ in one letter get unrelated keys. */
export function hash32(text: string): number {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) h = imul(h ^ byte, 0x01000193);
  h = imul(h ^ (h >>> 16), 0x85ebca6b);
  h = imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/**
 * Opens the stream for `(seed, purpose, …position)`. `position` is up to two integers, e.g. step and row: each position
 * has 2^66 bits of its own, so streams never overlap.
 */
export function randomStream(seed: number, purpose: string, position: readonly number[] = []): RandomStream {
  if (position.length > 2) throw new RangeError('randomStream: a position has at most two numbers');
  const key = Uint32Array.of(seed >>> 0, (hash32(purpose) ^ floor(seed / 2 ** 32)) >>> 0);
  const counter = Uint32Array.of(0, 0, (position[0] ?? 0) >>> 0, (position[1] ?? 0) >>> 0);
  const block = new Uint32Array(4);
  let used = 4;

  const uint32 = (): number => {
    if (used === 4) {
      philox4x32(key, counter, block);
      counter[0] = (counter[0] + 1) >>> 0;
      if (counter[0] === 0) counter[1] = (counter[1] + 1) >>> 0;
      used = 0;
    }
    return block[used++];
  };
  const uniform = (): number => ((uint32() >>> 5) * 2 ** 26 + (uint32() >>> 6)) / 2 ** 53;
  const positive = (): number => 1 - uniform();
  const below = (n: number): number => {
    if (!Number.isInteger(n) || n < 1) throw new RangeError(`below: n must be a positive integer, got ${n}`);
    return floor(uniform() * n);
  };
  return {
    uint32,
    uniform,
    below,
    normal: () => sqrt(-2 * log(positive())) * cos(2 * PI * uniform()),
    gumbel: () => -log(-log(max(uniform(), Number.MIN_VALUE))),
    pick: (items) => {
      if (items.length === 0) throw new RangeError('pick: the list is empty');
      return items[below(items.length)];
    },
    shuffle: (items) => {
      const copy = items.slice();
      for (let i = copy.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [copy[i], copy[j]] = [copy[j], copy[i]];
      }
      return copy;
    },
  };
}
