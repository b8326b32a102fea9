import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import loadWabt from 'wabt';
import { expectAllClose } from '../spec-support';
import { sweepAdamw, sweepAverage, sweepModule } from './sweep';

const wave = (length: number, frequency: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.sin(frequency * (i + 1)));

/** A few roundings in single precision. */
const SINGLE = 5e-7;

describe('the sweeps', () => {
  it('are what sweep.wat says', async () => {
    const { parseWat } = await loadWabt();
    const source = readFileSync(join(__dirname, 'sweep.wat'), 'utf8');
    const { buffer } = parseWat('sweep.wat', source, { simd: true }).toBinary({});
    expect(sweepModule).toBe(Buffer.from(buffer).toString('base64'));
  });

  // Less than a vector, a whole block, and a block with a rest that is no whole vector.
  it.each([3, 4096, 9999])('update the floats of a range of %p, and no others', (length) => {
    const [start, end] = [5, 5 + length];
    const arrays = {
      parameters: wave(length + 12, 0.1),
      gradients: wave(length + 12, 0.7),
      firstMoment: wave(length + 12, 0.3),
      secondMoment: wave(length + 12, 0.2).map(Math.abs),
    };
    const before = structuredClone(arrays);
    const constants = {
      beta1: 0.9,
      beta2: 0.95,
      gradientScale: 0.5,
      rate: 0.01,
      inverseRoot: 1.2,
      epsilon: 1e-3,
      keep: 0.9,
    };
    sweepAdamw(arrays, { start, end }, constants);
    const inside = (i: number): boolean => i >= start && i < end;
    const m = before.firstMoment.map((m, i) => (inside(i) ? 0.9 * m + 0.1 * 0.5 * before.gradients[i] : m));
    const v = before.secondMoment.map((v, i) => (inside(i) ? 0.95 * v + 0.05 * (0.5 * before.gradients[i]) ** 2 : v));
    const w = before.parameters.map((w, i) =>
      inside(i) ? w * 0.9 - (0.01 * m[i]) / (Math.sqrt(v[i]) * 1.2 + 1e-3) : w,
    );
    expectAllClose(arrays.firstMoment, [...m], SINGLE);
    expectAllClose(arrays.secondMoment, [...v], SINGLE);
    expectAllClose(arrays.parameters, [...w], SINGLE);
    expect(arrays.gradients).toEqual(before.gradients);
    for (const i of [0, 4, end, end + 6]) expect(arrays.parameters[i]).toBe(before.parameters[i]);
  });

  it('average arrays of any length', () => {
    const average = wave(5001, 0.2);
    const expected = average.map((value, i) => value + 0.25 * (Math.sin(0.9 * (i + 1)) - value));
    sweepAverage(average, wave(5001, 0.9), 0.25);
    expectAllClose(average, [...expected], SINGLE);
  });

  it('let what is not a number through', () => {
    const average = Float32Array.of(1, 2, 3);
    sweepAverage(average, Float32Array.of(NaN, 2, Infinity), 0.5);
    expect([...average]).toEqual([NaN, 2, Infinity]);
  });
});
