import { alignedSpace, panelsOf, type VectorExtension } from '@pavlov/kernels';
import type { QuantizedMatrix } from './quantize';

/** Lays a matrix out as kernels of our own read it (`panelsOf`), bytes and scales together, in words. */
export function int8Panels(matrix: QuantizedMatrix, extension: VectorExtension): Int32Array {
  const { inputs, outputs, block, values, scales } = matrix;
  const { columns, length } = panelsOf(extension, matrix);
  const lanes = columns / 2;
  const { buffer, byteOffset } = alignedSpace(4 * length);
  const words = new Int32Array(buffer, byteOffset, length);
  const [floats, bytes] = [new Float32Array(buffer, byteOffset, length), new Int8Array(buffer, byteOffset, 4 * length)];
  const blocks = Math.ceil(inputs / block);
  let at = 0; // in bytes
  for (let first = 0; first < outputs; first += columns) {
    const present = Math.min(columns, outputs - first);
    const width = present <= lanes ? lanes : columns;
    for (let column = 0; column < present; column++) {
      const start = (first + column) * blocks;
      const known = usableScales(scales.subarray(start, start + blocks));
      let place = at + column;
      for (let index = 0; index < blocks; index++) {
        const depth = Math.min(block, inputs - index * block);
        const from = (start + index) * block;
        if (known[index] === scales[start + index])
          for (let i = 0; i < depth; i++) bytes[place + i * width] = values[from + i] - 128;
        place += depth * width;
        const next = index + 1 < blocks ? known[index + 1] : 1;
        floats[(place + 3 * column) / 4] = known[index] / next;
        place += 4 * width;
      }
    }
    at += (4 * blocks + inputs) * width;
  }
  return words;
}

/** A block so much smaller than the largest of its column changes nothing, and its numbers may be 0. */
const negligible = 2 ** -40;

/** The same scales, but for those that are nothing beside the largest, which stands for them: of the others, one can divide by another. */
function usableScales(scales: Float32Array): Float32Array {
  const largest = scales.reduce((a, b) => Math.max(a, b), 0) || 1;
  return scales.map((scale) => (scale > largest * negligible ? scale : largest));
}
