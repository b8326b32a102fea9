import { panelsOf, type VectorExtension } from '@pavlov/kernels';
import { installMatchers } from '@pavlov/testing';
import { int8Panels } from './int8-panels';
import { dequantizeMatrix, quantizeMatrix, type QuantizedMatrix } from './quantize';

installMatchers();

/** Numbers like those of a column, all of them different, none of them 0. */
const numbers = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => Math.sin(1 + i) + 1e-3);

/** What the panels stand for, [O, I]: each byte times all factors from its block's on. */
function read(extension: VectorExtension, { inputs, outputs, block }: QuantizedMatrix, words: Int32Array): number[] {
  const { columns } = panelsOf(extension, { inputs, outputs, block });
  const bytes = new Int8Array(words.buffer, words.byteOffset, 4 * words.length);
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
  const matrix = Array<number>(outputs * inputs).fill(NaN);
  let at = 0;
  for (let first = 0; first < outputs; first += columns) {
    const width = outputs - first <= columns / 2 ? columns / 2 : columns;
    for (let column = 0; column < width; column++) {
      const blocks = Array.from({ length: Math.ceil(inputs / block) }, (_, index) => {
        const depth = Math.min(block, inputs - index * block);
        const begin = at + index * (block + 4) * width;
        const column8 = Array.from({ length: depth }, (_, i) => bytes[begin + i * width + column]);
        return { column8, factor: floats[(begin + depth * width) / 4 + column] };
      });
      const output = first + column;
      if (output >= outputs) {
        // What is beside the matrix is 0.
        expect(blocks.every(({ column8, factor }) => factor === 0 && column8.every((byte) => byte === 0))).toBe(true);
        continue;
      }
      let scale = 1;
      blocks.reverse().forEach(({ column8, factor }, nth) => {
        scale *= factor;
        const start = output * inputs + (blocks.length - 1 - nth) * block;
        column8.forEach((byte, i) => (matrix[start + i] = byte * scale));
      });
    }
    at += (inputs + 4 * Math.ceil(inputs / block)) * width;
  }
  expect(at).toBe(4 * words.length);
  return matrix;
}

/** Each factor is rounded to 24 bits. */
const rounding = { relative: 1e-6, absolute: 0 };

describe.each(['avx2', 'avx512'] as const)('panels of 8 bits, %s', (extension) => {
  const reread = (matrix: QuantizedMatrix): number[] => read(extension, matrix, int8Panels(matrix, extension));

  it.each([[1, 1], [7, 75], [8, 32], [16, 33], [17, 64], [33, 300], [53, 256]])('hold %i outputs of %i inputs', (outputs, inputs) => {
    const matrix = quantizeMatrix(numbers(outputs * inputs), { outputs, inputs, order: 'outputs first' });
    expect(int8Panels(matrix, extension)).toHaveLength(panelsOf(extension, matrix).length);
    expect(reread(matrix)).toBeAllClose(dequantizeMatrix(matrix), rounding);
  }); // prettier-ignore

  it.each(['first', 'middle', 'last', 'every'] as const)('hold zeros: the %s block', (which) => {
    const [outputs, inputs] = [19, 90];
    const [from, to] = { first: [0, 32], middle: [32, 64], last: [64, inputs], every: [0, inputs] }[which];
    const sparse = numbers(outputs * inputs).map((value, i) => (i % inputs >= from && i % inputs < to ? 0 : value));
    const matrix = quantizeMatrix(sparse, { outputs, inputs, order: 'outputs first' });
    expect(reread(matrix)).toBeAllClose(dequantizeMatrix(matrix), rounding);
  });

  it('hold 0 for blocks that are nothing beside their column’s largest, and keep those that are a little', () => {
    const [outputs, inputs] = [9, 160];
    const factors = [2 ** -45, 2 ** -39, 1, 1e-38, 2 ** -35]; // of each block
    const uneven = numbers(outputs * inputs).map((value, i) => value * factors[Math.floor((i % inputs) / 32)]);
    const matrix = quantizeMatrix(uneven, { outputs, inputs, order: 'outputs first' });
    const kept = dequantizeMatrix(matrix).map((value, i) => ([0, 3].includes(Math.floor((i % inputs) / 32)) ? 0 : value));
    expect(reread(matrix)).toBeAllClose(kept, rounding);
  }); // prettier-ignore
});

describe('quantizeMatrix', () => {
  it('rounds to the nearest of 255 steps, of which the largest number of each block is the last', () => {
    const row = Float32Array.of(2, -1, 0.5, ...Array<number>(29).fill(0), 0.25, 0.001); // a block, and the rest of another
    const { values, scales, block } = quantizeMatrix(row, { outputs: 1, inputs: 34, order: 'outputs first' });
    expect(block).toBe(32);
    expect([...values.subarray(0, 4)]).toEqual([255, 128 - 63, 128 + 32, 128]); // −63.5 and 31.75 steps
    expect([...values.subarray(32, 35)]).toEqual([255, 128 + 1, 128]); // 0.508 steps; then nothing
    expect([...scales]).toEqual([2 / 127, 0.25 / 127].map(Math.fround));
  });

  it('takes a matrix the one way or the other', () => {
    const [outputs, inputs] = [5, 40];
    const rows = numbers(outputs * inputs);
    const columns = rows.map((_, i) => rows[(i % outputs) * inputs + Math.floor(i / outputs)]);
    expect(quantizeMatrix(columns, { outputs, inputs, order: 'inputs first' })).toEqual(
      quantizeMatrix(rows, { outputs, inputs, order: 'outputs first' }),
    );
  });
});
