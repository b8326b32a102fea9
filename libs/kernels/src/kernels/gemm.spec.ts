import { installMatchers, tolerances } from '@pavlov/testing';
import { describeExtensions, noise, precisionsOf, rounded, runKernel, sameBits } from '../spec-support';
import { type VectorExtension } from '../encoding';
import { type Precision } from '../tile';
import { gemmKernel } from './gemm';
import { depthsOf, type GemmSpec } from './gemm-plan';

installMatchers();

type Shape = Pick<GemmSpec, 'rows' | 'columns' | 'depth'>;

/** What is less than a tile, a panel or a step along the depth; as much; and more, with a rest. */
const shapes: Shape[] = [[1, 1, 1], [3, 5, 7], [14, 32, 16], [15, 33, 17], [28, 64, 128], [40, 96, 520], [17, 130, 1100], [64, 300, 33], [13, 40, 512], [5, 600, 70], [100, 17, 700], [30, 16, 8], [9, 48, 1024], [31, 70, 1055]].map(([rows, columns, depth]) => ({ rows, columns, depth })); // prettier-ignore

interface Flags {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly bias: boolean;
}

const flags: Flags[] = [false, true].flatMap((transposeA) =>
  [false, true].map((transposeB) => ({ transposeA, transposeB, bias: false })),
);

function operands({ rows, columns, depth, bias }: Shape & Flags): Float32Array[] {
  const a = noise(rows * depth, 1).map((x) => x / Math.sqrt(depth));
  return [a, noise(depth * columns, 2), ...(bias ? [noise(columns, 3)] : [])];
}

function truth(
  { rows, columns, depth, transposeA, transposeB }: Shape & Flags,
  [a, b, bias]: Float32Array[],
): number[] {
  return Array.from({ length: rows * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    let sum = bias ? bias[column] : 0;
    for (let k = 0; k < depth; k++)
      sum += (transposeA ? a[k * rows + row] : a[row * depth + k]) * (transposeB ? b[column * depth + k] : b[k * columns + column]);
    return sum;
  }); // prettier-ignore
}

const describePrecisions = (body: (extension: VectorExtension, precision: Precision) => void): void =>
  describeExtensions('gemm', (extension) => {
    for (const precision of precisionsOf(extension)) describe(precision, () => body(extension, precision));
  });

describePrecisions((extension, precision) => {
  it.each(shapes)('[$rows, $depth] · [$depth, $columns], to the same bits for any number of threads', (shape) => {
    for (const [nth, flag] of flags.entries()) {
      const spec = { ...shape, ...flag, precision, bias: (shape.rows + nth) % 2 === 0 };
      const given = operands(spec);
      const [c] = runKernel(gemmKernel(extension, { ...spec, threads: 1 }), given);
      const [a, b, bias] = given;
      const factors = [a, b].map((factor) => rounded(factor, precision));
      expect(c).toBeAllClose(truth(spec, [...factors, bias]), tolerances.composed);
      for (const threads of [2, 5]) {
        const others = runKernel(gemmKernel(extension, { ...spec, threads }), given, { order: 'from last' });
        expect(sameBits(others, [c])).toBe(true);
      }
    }
  });

  it.each(shapes)('[$rows, $depth] · [$depth, $columns], in parts, to the same bits', (shape) => {
    const spec = { ...shape, transposeA: true, transposeB: false, bias: false, precision, threads: 2 };
    const [a, b] = operands(spec);
    const [whole] = runKernel(gemmKernel(extension, spec), [a, b]);
    let row = 0;
    let sum: Float32Array | undefined;
    for (const depth of depthsOf(shape.depth, precision)) {
      const own = [a.subarray(row * shape.rows, (row + depth) * shape.rows), b.subarray(row * shape.columns, (row + depth) * shape.columns)]; // prettier-ignore
      const kernel = gemmKernel(extension, { ...spec, depth, added: sum !== undefined, signals: true });
      [sum] = runKernel(kernel, sum ? [...own, sum] : own) as Float32Array[];
      row += depth;
    }
    expect(sameBits([sum!], [whole])).toBe(true);
  });

  it('lets NaN and infinity reach what they are part of, and nothing else', () => {
    const spec = { rows: 20, columns: 40, depth: 30, precision, transposeA: false, transposeB: false, bias: false };
    const [a, b] = operands(spec);
    a[3 * 30 + 29] = NaN;
    a[7 * 30] = Infinity;
    const [c] = runKernel(gemmKernel(extension, { ...spec, threads: 2 }), [a, b]);
    c.forEach((value, i) => expect(Number.isFinite(value)).toBe(![3, 7].includes(Math.floor(i / 40))));
    expect(c.subarray(3 * 40, 4 * 40).every(Number.isNaN)).toBe(true);
  });
});
