import { installMatchers, tolerances } from '@pavlov/testing';
import { describeExtensions, noise, runKernel, sameBits } from '../spec-support';
import { geluGradientKernel, geluKernel } from './gelu';

installMatchers();

const scale = Math.sqrt(2 / Math.PI);
const gelu = (x: number): number => 0.5 * x * (1 + Math.tanh(scale * (x + 0.044715 * x ** 3)));
const slope = (x: number): number => {
  const t = Math.tanh(scale * (x + 0.044715 * x ** 3));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * scale * (1 + 3 * 0.044715 * x * x);
};

describeExtensions('GELU', (extension) => {
  it.each([1, 7, 16, 19, 16384, 40001])('of %i numbers, in place, too', (length) => {
    const x = noise(length).map((value) => 6 * value);
    const kernel = geluKernel(extension, [length]);
    const outputs = runKernel(kernel, [x]);
    expect(outputs[0]).toBeAllClose([...x].map(gelu), tolerances.kernel);
    expect(sameBits(runKernel(kernel, [x], { order: 'from last', over: { 0: 0 } }), outputs)).toBe(true);
  });

  it('far from 0 is x or 0, and NaN stays NaN', () => {
    const x = Float32Array.of(100, 1e30, 0, -100, -1e30, NaN);
    const [y] = runKernel(geluKernel(extension, [6]), [x]);
    expect([...y.subarray(0, 3)]).toEqual([100, Math.fround(1e30), 0]);
    for (const i of [3, 4]) expect(Math.abs(y[i])).toBeLessThan(1e-37 * Math.abs(x[i]));
    expect(y[5]).toBeNaN();
  });

  it.each([[1, 1], [5, 33], [700, 48], [130, 300]])('gradient of [%i, %i], and the sums of its columns', (rows, columns) => {
    const [x, dy] = [1, 2].map((seed) => noise(rows * columns, seed).map((value) => 4 * value));
    const kernel = geluGradientKernel(extension, { rows, columns });
    const outputs = runKernel(kernel, [x, dy]);
    const dx = [...x].map((value, i) => slope(value) * dy[i]);
    expect(outputs[0]).toBeAllClose(dx, tolerances.composed);
    const sums = Array.from({ length: columns }, (_, c) => dx.reduce((sum, d, i) => (i % columns === c ? sum + d : sum), 0)); // prettier-ignore
    expect(outputs[1]).toBeAllClose(sums, { relative: 5e-5, absolute: 1e-4 });
    expect(sameBits(runKernel(kernel, [x, dy], { order: 'from last', over: { 0: 0 } }), outputs)).toBe(true);
  }); // prettier-ignore
});
