import { installMatchers, tolerances } from '@pavlov/testing';
import { type VectorExtension } from './encoding';
import { emitExp, emitLog, emitPowerOfTwo, lowestPower } from './mathematics';
import { describeExtensions, vectorsAfter } from './spec-support';

installMatchers();

/** 4096 numbers from one to the other, both included. */
const range = (from: number, to: number): Float32Array =>
  Float32Array.from({ length: 4096 }, (_, i) => from + ((to - from) * i) / 4095);

/** Numbers in full vectors: the last is repeated. */
const padded = (values: readonly number[]): Float32Array =>
  Float32Array.from({ length: 16 * Math.ceil(values.length / 16) }, (_, i) => values[Math.min(i, values.length - 1)]);

const expOf = (extension: VectorExtension, x: Float32Array): Float32Array =>
  vectorsAfter(extension, x, (code) => emitExp(code, 0, { a: 1, b: 2 }));

const powerOf = (extension: VectorExtension, x: Float32Array): Float32Array =>
  vectorsAfter(extension, x, (code) => {
    code.load(3, code.number(lowestPower(code)));
    emitPowerOfTwo(code, 0, { a: 1, b: 2, lowest: 3 });
  });

const logOf = (extension: VectorExtension, x: Float32Array): Float32Array =>
  vectorsAfter(extension, x, (code) => emitLog(code, 0, { a: 1, b: 2, c: 3 }));

describeExtensions('eˣ', (extension) => {
  it.each([
    [-1, 1],
    [-20, 20],
    [-87, 88],
    [-104, -87], // numbers end
  ])('from %p to %p', (from, to) => {
    const x = range(from, to);
    expect(expOf(extension, x)).toBeAllClose([...x].map(Math.exp), tolerances.polynomial);
  });

  it('is 0 for what is very small, never infinite, and exactly 1 at 0', () => {
    const x = padded([-104, -150, -170, -171, -1e10, -Infinity, 0, -0, 88.1, 1e10, Infinity]);
    const [, , , , , , , , ...large] = expOf(extension, x);
    expect([...expOf(extension, x).subarray(0, 8)]).toEqual([0, 0, 0, 0, 0, 0, 1, 1]);
    for (const value of large) expect(value).toBe(expOf(extension, padded([88]))[0]);
    expect(Number.isFinite(large[0])).toBe(true);
  });

  it('lets NaN through, lane by lane', () => {
    const x = padded([1, NaN, 2, NaN, -NaN]);
    expect([...expOf(extension, x)].map(Number.isNaN)).toEqual([...x].map(Number.isNaN));
  });
});

describeExtensions('2ˣ', (extension) => {
  it.each([
    [-1, 0],
    [-20, 0],
    [-126, 0],
  ])('from %p to %p', (from, to) => {
    const x = range(from, to);
    expect(powerOf(extension, x)).toBeAllClose(
      [...x].map((value) => 2 ** value),
      tolerances.polynomial,
    );
  });

  it('is exact for whole powers, and exactly 0 from some on', () => {
    const x = padded([0, -0, -1, -24, -126, -150, -151, -160, -1e30, -Infinity]);
    expect([...powerOf(extension, x).subarray(0, 10)]).toEqual([1, 1, 0.5, 2 ** -24, 2 ** -126, 0, 0, 0, 0, 0]);
  });

  it('lets NaN through', () => {
    const x = padded([-1, NaN, -2]);
    expect([...powerOf(extension, x)].map(Number.isNaN)).toEqual([...x].map(Number.isNaN));
  });
});

describeExtensions('ln x', (extension) => {
  it.each([
    [0.5, 0.999],
    [1.001, 2],
    [2, 100_000],
    [2 ** -126, 2 ** -120],
    [1e30, 3.4e38],
  ])('from %p to %p', (from, to) => {
    const x = range(from, to);
    expect(logOf(extension, x)).toBeAllClose([...x].map(Math.log), tolerances.polynomial);
  });

  it('is exactly 0 at 1, and close to it beside', () => {
    const x = padded([1, 1 + 2 ** -23, 1 - 2 ** -24]);
    const y = logOf(extension, x);
    expect(y[0]).toBe(0);
    expect([y[1], y[2]]).toBeAllClose([Math.log1p(2 ** -23), Math.log1p(-(2 ** -24))], tolerances.polynomial);
  });

  it('has no number for NaN and infinity', () => {
    expect([...logOf(extension, padded([2, NaN, Infinity]))].slice(0, 3).map(Number.isNaN)).toEqual([
      false,
      true,
      true,
    ]);
  });
});
