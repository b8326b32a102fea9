import { installMatchers, tolerances } from '@pavlov/testing';
import { type VectorExtension } from '../encoding';
import { describeExtensions, noise, type Numbers, precisionsOf, rounded, runKernel, sameBits } from '../spec-support';
import { type Precision } from '../tile';
import { cacheLength, type CacheSpec } from './cache-layout';
import { cachedAttentionKernel } from './cached-attention';
import { fillCacheKernel } from './fill-cache';

installMatchers();

it('a cache has room for whole blocks of 16 positions', () => {
  expect([1, 16, 17, 200].map(cacheLength)).toEqual([16, 16, 32, 208]);
});

it('pairs need heads of an even width', () => {
  const cache = { rows: 1, heads: 1, size: 5, length: 16, precision: 'bfloat16' } as const;
  expect(() => cachedAttentionKernel('avx512', cache)).toThrow(RangeError);
  expect(() => fillCacheKernel('avx512', { ...cache, time: 3 })).toThrow(RangeError);
});

interface Shape {
  readonly rows: number;
  readonly heads: number;
  readonly size: number;
  /** Positions of the prompt, and in all. */
  readonly time: number;
  readonly positions: number;
}

const shapes: Shape[] = [[2, 2, 8, 3, 20], [3, 2, 32, 16, 35], [2, 3, 64, 70, 75], [1, 1, 24, 33, 64], [2, 1, 128, 5, 20], [1, 1, 200, 17, 19], [2, 2, 5, 2, 18], [2, 2, 6, 1, 18], [2, 1, 80, 14, 35]].map(([rows, heads, size, time, positions]) => ({ rows, heads, size, time, positions })); // prettier-ignore

/** What stands in a cache before is never read: not a number, whatever it is read as. */
const nothing = ({ rows, heads, size, length, precision }: CacheSpec): Numbers[] =>
  [0, 1].map(() =>
    precision === 'bfloat16'
      ? new Int32Array((rows * heads * size * length) / 2).fill(0x7fc17fc1)
      : new Float32Array(rows * heads * size * length).fill(NaN),
  );

/** Keys and values of a prompt, in a cache that held nothing. */
const filled = (extension: VectorExtension, cache: CacheSpec & { time: number }, prompt: Numbers): Numbers[] =>
  runKernel(fillCacheKernel(extension, cache), [prompt, ...nothing(cache)], {
    order: 'from last',
    over: { 0: 1, 1: 2 },
  });

/** Of a number of y: what it is, and how far from it one may be. */
interface Expected {
  readonly value: number;
  readonly error: number;
}

/**
 * Attention of the last position of a row and head to what is rounded, in double precision; `given` are [3, H, D] of each position.
 * Weights p in bfloat16 are p (1 + δ), |δ| ≤ 2⁻⁸, divided by their sum: Σ p (1 + δ) v / Σ p (1 + δ) − y = Σ p δ (v − y) / (1 + Σ p δ).
 */
function truth({ heads, size, precision }: CacheSpec, given: readonly Float32Array[], head: number): Expected[] {
  const part = (position: Float32Array, nth: number): Float32Array =>
    rounded(position.subarray((nth * heads + head) * size, (nth * heads + head + 1) * size), precision);
  const q = part(given.at(-1)!, 0);
  const scores = given.map((position) => part(position, 1).reduce((sum, k, d) => sum + k * q[d], 0) / Math.sqrt(size));
  const largest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - largest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const values = given.map((position) => part(position, 2));
  const mean = (of: (value: Float32Array) => number): number =>
    values.reduce((sum, value, i) => sum + (weights[i] / total) * of(value), 0);
  const { absolute, relative } = tolerances.composed;
  return Array.from({ length: size }, (_, d) => {
    const value = mean((v) => v[d]);
    const weightError = precision === 'bfloat16' ? mean((v) => Math.abs(v[d] - value)) * (2 ** -8 / (1 - 2 ** -8)) : 0;
    return { value, error: absolute + relative * Math.abs(value) + weightError };
  });
}

/** The result of a step, in shares of what it may be wrong by. */
function expectNear(y: Numbers, cache: CacheSpec, known: readonly (readonly Float32Array[])[]): void {
  const expected = known.flatMap((row) =>
    Array.from({ length: cache.heads }, (_, head) => truth(cache, row, head)).flat(),
  );
  const shares = Array.from(y, (actual, i) => (actual - expected[i].value) / expected[i].error);
  expect(shares).toBeAllClose(Array(y.length).fill(0), { relative: 0, absolute: 1 });
}

const numbers = (length: number, seed?: number): Float32Array => noise(length, seed).map((x) => 3 * x);

const describePrecisions = (body: (extension: VectorExtension, precision: Precision) => void): void =>
  describeExtensions('attention to a cache', (extension) => {
    for (const precision of precisionsOf(extension)) describe(precision, () => body(extension, precision));
  });

describePrecisions((extension, precision) => {
  const fitting = shapes.filter(({ size }) => precision === 'float32' || size % 2 === 0);

  it.each(fitting)('$heads heads of $size numbers, after a prompt of $time', ({ time, positions, ...shape }) => {
    const { rows, heads, size } = shape;
    const packed = 3 * heads * size;
    const cache = { ...shape, length: cacheLength(positions), precision };
    const prompt = numbers(rows * time * packed);
    let [keys, values] = filled(extension, { ...cache, time }, prompt);
    // Rows of different lengths: what padding left behind is written over.
    const known = Array.from({ length: rows }, (_, row) =>
      Array.from({ length: Math.max(1, time - row) }, (_, position) =>
        prompt.subarray((row * time + position) * packed, (row * time + position + 1) * packed),
      ),
    );
    const kernel = cachedAttentionKernel(extension, cache);
    for (let step = 0; step < positions - time; step++) {
      const qkv = numbers(rows * packed, step + 2);
      known.forEach((row, i) => row.push(qkv.subarray(i * packed, (i + 1) * packed)));
      const lengths = Int32Array.from(known, (row) => row.length);
      const given = [qkv, keys, values, lengths];
      const [y, newKeys, newValues] = runKernel(kernel, given, { over: { 1: 1, 2: 2 } });
      expectNear(y, cache, known);
      // The same elsewhere, in another order of tasks: nothing but copies.
      expect(sameBits(runKernel(kernel, given, { order: 'from last' }), [y, newKeys, newValues])).toBe(true);
      [keys, values] = [newKeys, newValues];
    }
  });

  it.each([32, 64, 80])('heads of %s numbers, from the first position on, as after a prompt', (size) => {
    const positions = 35;
    const cache = { rows: 1, heads: 2, size, length: cacheLength(positions), precision };
    const packed = 6 * size;
    const sequence = numbers(positions * packed, 7);
    const known: Float32Array[] = [];
    const kernel = cachedAttentionKernel(extension, cache);
    const step = (position: number, [keys, values]: readonly Numbers[]): Numbers[] => {
      const qkv = sequence.subarray(position * packed, (position + 1) * packed);
      return runKernel(kernel, [qkv, keys, values, Int32Array.of(position + 1)], { over: { 1: 1, 2: 2 } });
    };
    let [keys, values] = nothing(cache);
    for (let position = 0; position < positions; position++) {
      const [y, newKeys, newValues] = step(position, [keys, values]);
      known.push(sequence.subarray(position * packed, (position + 1) * packed));
      expectNear(y, cache, [known]);
      if (position > 0) {
        const prompt = sequence.subarray(0, position * packed);
        const fromPrompt = filled(extension, { ...cache, time: position }, prompt);
        expect(sameBits([fromPrompt[1]], [values])).toBe(true);
        const [again, , againValues] = step(position, fromPrompt);
        expect(sameBits([again, againValues], [y, newValues])).toBe(true);
      }
      [keys, values] = [newKeys, newValues];
    }
  });

  it('rows know nothing of each other', () => {
    const cache = { rows: 3, heads: 2, size: 32, length: 48, precision };
    const [packed, time] = [192, 33];
    const prompt = numbers(cache.rows * time * packed);
    const [keys, values] = filled(extension, { ...cache, time }, prompt);
    const [qkv, lengths] = [numbers(cache.rows * packed, 2), Int32Array.of(34, 1, 17)];
    const together = runKernel(cachedAttentionKernel(extension, cache), [qkv, keys, values, lengths]);
    for (let row = 0; row < cache.rows; row++) {
      const own = <T extends Numbers>(all: T): Numbers =>
        all.slice((row * all.length) / 3, ((row + 1) * all.length) / 3);
      const alone = runKernel(cachedAttentionKernel(extension, { ...cache, rows: 1 }), [qkv, keys, values, lengths].map(own)); // prettier-ignore
      expect(sameBits(alone, together.map(own))).toBe(true);
    }
  });

  it('scores that are far apart leave no NaN', () => {
    const cache = { rows: 1, heads: 1, size: 8, length: 16, precision };
    const prompt = new Float32Array(2 * 24);
    prompt.set([...Array(8).fill(0), ...Array(8).fill(-1e4), ...Array(8).fill(1)], 0);
    prompt.set([...Array(8).fill(0), ...Array(8).fill(1e4), ...Array(8).fill(2)], 24);
    const [keys, values] = filled(extension, { ...cache, time: 2 }, prompt);
    const qkv = Float32Array.from([...Array(8).fill(1e4), ...Array(8).fill(0), ...Array(8).fill(3)]);
    const kernel = cachedAttentionKernel(extension, cache);
    expect([...runKernel(kernel, [qkv, keys, values, Int32Array.of(3)])[0]]).toEqual(Array(8).fill(2));
  });
});
