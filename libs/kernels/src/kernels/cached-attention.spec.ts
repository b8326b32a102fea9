import { installMatchers, tolerances } from '@pavlov/testing';
import { describeExtensions, noise, runKernel, sameBits } from '../spec-support';
import { cachedAttentionKernel, cacheLength, fillCacheKernel } from './cached-attention';

installMatchers();

it('a cache has room for whole blocks of 16 positions', () => {
  expect([1, 16, 17, 200].map(cacheLength)).toEqual([16, 16, 32, 208]);
});

interface Shape {
  readonly rows: number;
  readonly heads: number;
  readonly size: number;
  /** Positions of the prompt, and in all. */
  readonly time: number;
  readonly positions: number;
}

const shapes: Shape[] = [[2, 2, 8, 3, 20], [3, 2, 32, 16, 35], [2, 3, 64, 70, 75], [1, 1, 24, 33, 64], [2, 1, 128, 5, 20], [1, 1, 200, 17, 19], [2, 2, 5, 2, 18]].map(([rows, heads, size, time, positions]) => ({ rows, heads, size, time, positions })); // prettier-ignore

/** Attention of the last position of a row and head, in double precision; `given` are [3, H, D] of each position so far. */
function truth({ heads, size }: Shape, given: readonly Float32Array[], head: number): number[] {
  const part = (position: Float32Array, nth: number): Float32Array =>
    position.subarray((nth * heads + head) * size, (nth * heads + head + 1) * size);
  const q = part(given.at(-1)!, 0);
  const scores = given.map((position) => part(position, 1).reduce((sum, k, d) => sum + k * q[d], 0) / Math.sqrt(size));
  const largest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - largest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Array.from({ length: size }, (_, d) =>
    given.reduce((sum, position, i) => sum + (weights[i] / total) * part(position, 2)[d], 0),
  );
}

describeExtensions('attention to a cache', (extension) => {
  it.each(shapes)('$heads heads of $size numbers, after a prompt of $time', (shape) => {
    const { rows, heads, size, time, positions } = shape;
    const packed = 3 * heads * size;
    const cache = { rows, heads, size, length: cacheLength(positions) };
    const cacheSize = rows * heads * size * cache.length;
    const prompt = noise(rows * time * packed).map((x) => 3 * x);
    // What stands in a cache before is never read.
    const nothing = [0, 1].map(() => new Float32Array(cacheSize).fill(NaN));
    const fill = fillCacheKernel(extension, { ...cache, time });
    let [keys, values] = runKernel(fill, [prompt, ...nothing], { order: 'from last', over: { 0: 1, 1: 2 } });
    // Rows of different lengths: what padding left behind is written over.
    const known = Array.from({ length: rows }, (_, row) =>
      Array.from({ length: Math.max(1, time - row) }, (_, position) =>
        prompt.subarray((row * time + position) * packed, (row * time + position + 1) * packed),
      ),
    );
    const kernel = cachedAttentionKernel(extension, cache);
    for (let step = 0; step < positions - time; step++) {
      const qkv = noise(rows * packed, step + 2).map((x) => 3 * x);
      known.forEach((row, i) => row.push(qkv.subarray(i * packed, (i + 1) * packed)));
      const lengths = Int32Array.from(known, (row) => row.length);
      const given = [qkv, keys, values, lengths];
      const [y, newKeys, newValues] = runKernel(kernel, given, { over: { 1: 1, 2: 2 } });
      const expected = known.flatMap((row) =>
        Array.from({ length: heads }, (_, head) => truth(shape, row, head)).flat(),
      );
      expect(y).toBeAllClose(expected, tolerances.composed);
      // The same elsewhere, in another order of tasks: nothing but copies.
      expect(sameBits(runKernel(kernel, given, { order: 'from last' }), [y, newKeys, newValues])).toBe(true);
      [keys, values] = [newKeys, newValues];
    }
  });

  it('scores that are far apart leave no NaN', () => {
    const cache = { rows: 1, heads: 1, size: 8, length: 16 };
    const prompt = new Float32Array(2 * 24);
    prompt.set([...Array(8).fill(0), ...Array(8).fill(-1e4), ...Array(8).fill(1)], 0);
    prompt.set([...Array(8).fill(0), ...Array(8).fill(1e4), ...Array(8).fill(2)], 24);
    const [keys, values] = runKernel(fillCacheKernel(extension, { ...cache, time: 2 }), [prompt, new Float32Array(128), new Float32Array(128)]); // prettier-ignore
    const qkv = Float32Array.from([...Array(8).fill(1e4), ...Array(8).fill(0), ...Array(8).fill(3)]);
    const kernel = cachedAttentionKernel(extension, cache);
    expect([...runKernel(kernel, [qkv, keys, values, Int32Array.of(3)])[0]]).toEqual(Array(8).fill(2));
  });
});
