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
    for (let index = 0; index < blocks; index++) {
      const depth = Math.min(block, inputs - index * block);
      for (let column = 0; column < present; column++) {
        const place = (first + column) * blocks + index;
        floats[at / 4 + column] = scales[place];
        for (let i = 0; i < depth; i++) bytes[at + 4 * width + i * width + column] = values[place * block + i] - 128;
      }
      at += (4 + depth) * width;
    }
  }
  return words;
}
