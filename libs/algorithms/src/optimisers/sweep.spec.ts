import { placeSweeps, type Sweeps, vectorExtensions } from '@pavlov/kernels';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import loadWabt from 'wabt';
import { expectAllClose } from '../spec-support';
import { portableSweeps, sweepModule, sweepsOf } from './sweep';

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
});

const engines = [
  { name: 'WebAssembly and JavaScript', sweeps: portableSweeps },
  ...vectorExtensions().map((extension) => ({ name: extension, sweeps: placeSweeps(extension) })),
];

/** Floats of a larger array, so that what stands around them is seen to stay. */
function rangeOf(length: number, frequency: number): { all: Float32Array; range: Float32Array } {
  const all = wave(length + 64, frequency);
  return { all, range: all.subarray(5, 5 + length) };
}

const constants = {
  beta1: 0.9,
  beta2: 0.95,
  gradientScale: 0.5,
  rate: 0.01,
  inverseRoot: 1.2,
  epsilon: 1e-3,
  keep: 0.9,
};

function adamwOf(sweeps: Sweeps, length: number): Float32Array[] {
  const [w, g, m, v] = [0.1, 0.7, 0.3, 0.2].map((frequency) => rangeOf(length, frequency));
  v.all.forEach((value, i) => (v.all[i] = Math.abs(value)));
  sweeps.adamw({ parameters: w.range, gradients: g.range, firstMoment: m.range, secondMoment: v.range }, constants);
  return [w, g, m, v].map(({ all }) => all);
}

// Less than a vector, a whole block, and a block with a rest that is no whole vector.
describe.each([3, 4096, 9999])('over %p floats', (length) => {
  describe.each(engines)('in $name', ({ sweeps }) => {
    it('AdamW updates the floats of a range, and no others', () => {
      const before = [0.1, 0.7, 0.3, 0.2].map((frequency) => wave(length + 64, frequency));
      before[3].forEach((value, i) => (before[3][i] = Math.abs(value)));
      const [w, g, m, v] = before;
      const inside = (i: number): boolean => i >= 5 && i < 5 + length;
      const newM = m.map((m, i) => (inside(i) ? 0.9 * m + 0.1 * 0.5 * g[i] : m));
      const newV = v.map((v, i) => (inside(i) ? 0.95 * v + 0.05 * (0.5 * g[i]) ** 2 : v));
      const newW = w.map((w, i) => (inside(i) ? w * 0.9 - (0.01 * newM[i]) / (Math.sqrt(newV[i]) * 1.2 + 1e-3) : w));
      const after = adamwOf(sweeps, length);
      [newW, g, newM, newV].forEach((expected, i) => expectAllClose(after[i], [...expected], SINGLE));
      for (const i of [0, 4, 5 + length, 11 + length]) expect(after[0][i]).toBe(w[i]);
    });

    it('averages', () => {
      const [average, parameters] = [rangeOf(length, 0.2), rangeOf(length, 0.9)];
      const expected = average.range.map((value, i) => value + 0.25 * (parameters.range[i] - value));
      const [first] = average.all;
      sweeps.average({ average: average.range, parameters: parameters.range, share: 0.25 });
      expectAllClose(average.range, [...expected], SINGLE);
      expect(average.all[0]).toBe(first);
    });

    it('adds, to what single precision says', () => {
      const [total, other] = [rangeOf(length, 0.2), rangeOf(length, 0.9)];
      const expected = total.range.map((value, i) => value + other.range[i]);
      sweeps.accumulate(total.range, other.range);
      expect(total.range).toEqual(expected);
    });

    it('adds squares in double precision', () => {
      const { range } = rangeOf(length, 0.2);
      const expected = range.reduce((sum, value) => sum + value * value, 0);
      expectAllClose([sweeps.squares(range)], [expected], 1e-12 * expected);
      for (const broken of [NaN, Infinity]) {
        range[length - 1] = broken;
        expect(Number.isFinite(sweeps.squares(range))).toBe(false);
      }
    });

    it('lets what is not a number through', () => {
      const average = rangeOf(length, 0.2).range;
      const parameters = average.slice();
      average[1] = parameters[2] = NaN;
      sweeps.average({ average, parameters, share: 0.5 });
      expect([...average.subarray(0, 3)].map(Number.isNaN)).toEqual([false, true, true]);
    });
  });

  it('AdamW gives the same bits everywhere', () => {
    const [expected, ...others] = engines.map(({ sweeps }) => adamwOf(sweeps, length));
    for (const other of others) expect(other).toEqual(expected);
  });
});

it('arrays of few bytes, which V8 may move, are left to JavaScript', () => {
  expect(sweepsOf(new Float32Array(4))).toBe(portableSweeps);
});
