import { installMatchers, tolerances } from '@pavlov/testing';
import { describeExtensions, noise, runKernel, sameBits } from '../spec-support';
import { layerNormGradientKernel, layerNormKernel } from './layer-norm';

installMatchers();

const epsilon = 1e-5;
const shapes = [[1, 1], [3, 8], [5, 33], [400, 48], [130, 200]]; // prettier-ignore

/** Of one row, in double precision: its mean, and 1 / √(variance + ε). */
function statistics(row: ArrayLike<number>): { mean: number; inverse: number } {
  const values = Array.from(row);
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
  return { mean, inverse: 1 / Math.sqrt(variance + epsilon) };
}

describeExtensions('layer norm', (extension) => {
  it.each(shapes)('of [%i, %i], of a sum, too', (rows, columns) => {
    const size = rows * columns;
    const [x, more] = [noise(size, 1).map((value) => 3 * value + 5), noise(size, 2)];
    const [gamma, beta] = [noise(columns, 3), noise(columns, 4)];
    for (const adds of [false, true]) {
      const given = [x, gamma, beta, ...(adds ? [more] : [])];
      const kernel = layerNormKernel(extension, { rows, columns, epsilon, adds });
      const outputs = runKernel(kernel, given);
      const sum = x.map((value, i) => (adds ? value + more[i] : value));
      const each = Array.from({ length: rows }, (_, row) =>
        statistics(sum.subarray(row * columns, (row + 1) * columns)),
      );
      const y = [...sum].map((value, i) => {
        const { mean, inverse } = each[Math.floor(i / columns)];
        return (value - mean) * inverse * gamma[i % columns] + beta[i % columns];
      });
      expect(outputs[0]).toBeAllClose(y, columns === 1 ? { relative: 0, absolute: 0 } : tolerances.composed);
      expect(outputs[1]).toBeAllClose(each.map(({ mean }) => mean), tolerances.kernel); // prettier-ignore
      expect(outputs[2]).toBeAllClose(each.map(({ inverse }) => inverse), tolerances.composed); // prettier-ignore
      if (adds) expect(outputs[3]).toEqual(sum);
      expect(sameBits(runKernel(kernel, given, { order: 'from last', over: { 0: 0 } }), outputs)).toBe(true);
    }
  });

  it.each(shapes)('gradient of [%i, %i], with one that comes around it, too', (rows, columns) => {
    const size = rows * columns;
    const [x, dy, around, gamma] = [size, size, size, columns].map((length, i) => noise(length, i + 1));
    const row = (array: Float32Array, nth: number): Float32Array => array.subarray(nth * columns, (nth + 1) * columns);
    const each = Array.from({ length: rows }, (_, nth) => statistics(row(x, nth)));
    const [means, inverses] = [each.map(({ mean }) => mean), each.map(({ inverse }) => inverse)].map((values) => Float32Array.from(values)); // prettier-ignore
    const normal = [...x].map((value, i) => (value - each[Math.floor(i / columns)].mean) * each[Math.floor(i / columns)].inverse); // prettier-ignore
    const columnSums = (values: (i: number) => number): number[] =>
      Array.from({ length: columns }, (_, c) => Array.from({ length: rows }, (_, r) => values(r * columns + c)).reduce((a, b) => a + b, 0)); // prettier-ignore
    for (const adds of [false, true]) {
      const given = [x, dy, gamma, means, inverses, ...(adds ? [around] : [])];
      const kernel = layerNormGradientKernel(extension, { rows, columns, adds });
      const outputs = runKernel(kernel, given);
      const dx = Array.from({ length: rows }, (_, nth) => {
        const g = [...row(dy, nth)].map((d, c) => d * gamma[c]);
        const own = normal.slice(nth * columns, (nth + 1) * columns);
        const [meanG, meanGN] = [g, g.map((value, c) => value * own[c])].map((values) => values.reduce((a, b) => a + b, 0) / columns); // prettier-ignore
        return g.map(
          (value, c) => (value - meanG - own[c] * meanGN) * each[nth].inverse + (adds ? row(around, nth)[c] : 0),
        );
      }).flat();
      // A row of one number divides by √ε: what rounding left is 316 times as large.
      const tolerance = columns === 1 ? { relative: 0, absolute: 1e-4 } : { relative: 5e-5, absolute: 5e-5 };
      expect(outputs[0]).toBeAllClose(dx, tolerance);
      expect(outputs[1]).toBeAllClose(columnSums((i) => dy[i] * normal[i]), tolerance); // prettier-ignore
      expect(outputs[2]).toBeAllClose(columnSums((i) => dy[i]), tolerance); // prettier-ignore
      expect(outputs[3]).toBeAllClose(columnSums((i) => dx[i]), { ...tolerance, absolute: 2e-4 }); // prettier-ignore
      expect(sameBits(runKernel(kernel, given, { order: 'from last', over: { 0: 0 } }), outputs)).toBe(true);
    }
  });
});
