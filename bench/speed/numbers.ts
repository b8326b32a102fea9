import type { TransformerConfig } from '@pavlov/model';
import type { Parameters } from '@pavlov/tensor';

/**
 * Weights and tokens that PyTorch's side computes too (bench/peer/same_numbers.py), so that both start from the same bytes.
 * `next()` counts up from position 0 of a stream: murmur3's finaliser over position + stream · golden ratio, a uint32.
 */
function numbersOf(stream: number): () => number {
  let position = Math.imul(stream, 0x9e3779b9);
  return () => {
    let x = position++ | 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return (x ^ (x >>> 16)) >>> 0;
  };
}

const standardDeviation = 0.02;
const scale = standardDeviation * Math.sqrt(3);

/** Matrices uniform with standard deviation 0.02, each from the stream of its place; layer norms 1, biases 0. In place. */
export function fill({ layout, views }: Parameters): void {
  layout.entries.forEach(({ name, shape }, stream) => {
    const view = views[name];
    if (shape.length === 1) {
      view.fill(name.endsWith('.weight') ? 1 : 0);
      return;
    }
    const next = numbersOf(stream);
    for (let i = 0; i < view.length; i++) view[i] = (next() / 2 ** 31 - 1) * scale;
  });
}

/** The stream that tokens come from. */
const tokenStream = 0xffff;

/** Token ids above PAD, flat [rows, columns]. */
export function tokens(config: TransformerConfig, { rows, columns }: { rows: number; columns: number }): Int32Array {
  const first = config.padId + 1;
  const next = numbersOf(tokenStream);
  const id = (): number => first + Math.floor((next() / 2 ** 32) * (config.vocabSize - first));
  return Int32Array.from({ length: rows * columns }, id);
}

/** The same as lists, one per row. */
export function sequences(config: TransformerConfig, size: { rows: number; columns: number }): number[][] {
  const flat = tokens(config, size);
  return Array.from({ length: size.rows }, (_, row) => [
    ...flat.subarray(row * size.columns, (row + 1) * size.columns),
  ]);
}
