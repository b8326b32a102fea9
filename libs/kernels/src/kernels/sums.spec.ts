import { installMatchers, tolerances } from '@pavlov/testing';
import { describeExtensions, noise, runKernel, sameBits } from '../spec-support';
import { columnSumKernel, segmentSumKernel } from './sums';

installMatchers();

describeExtensions('sums', (extension) => {
  it.each([[1, 1], [7, 70], [3000, 33], [500, 130], [9, 64]])('of the columns of [%i, %i]', (rows, columns) => {
    const x = noise(rows * columns);
    const kernel = columnSumKernel(extension, { rows, columns });
    const outputs = runKernel(kernel, [x]);
    const expected = new Float64Array(columns);
    x.forEach((value, i) => (expected[i % columns] += value));
    expect(outputs[0]).toBeAllClose(expected, { ...tolerances.composed, absolute: 1e-4 });
    expect(sameBits(runKernel(kernel, [x], { order: 'from last' }), outputs)).toBe(true);
  }); // prettier-ignore

  it.each([[1, 1, 1], [30, 5, 7], [64, 33, 700], [200, 48, 3]])('of %i rows of %i by id, into %i', (rows, columns, segments) => {
    const x = noise(rows * columns);
    const ids = Int32Array.from({ length: rows }, (_, row) => (row * 7919) % segments);
    if (rows > 20) [ids[3], ids[11], ids[12]] = [-1, segments, 2 ** 31 - 1]; // no rows of ours: left out
    for (const onto of [false, true]) {
      const before = noise(segments * columns, 2);
      const kernel = segmentSumKernel(extension, { rows, columns, segments, onto });
      const given = [x, ids, ...(onto ? [before] : [])];
      const outputs = runKernel(kernel, given);
      const expected = onto ? before.slice() : new Float32Array(segments * columns);
      ids.forEach((id, row) => {
        if (id < 0 || id >= segments) return;
        for (let c = 0; c < columns; c++) expected[id * columns + c] += x[row * columns + c];
      });
      expect(outputs[0]).toEqual(expected); // in the order of the rows, so to the last bit
      expect(sameBits(runKernel(kernel, given, { order: 'from last' }), outputs)).toBe(true);
    }
  }); // prettier-ignore
});
