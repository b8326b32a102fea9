import { installMatchers, tolerances } from '@pavlov/testing';
import { type VectorExtension } from '../encoding';
import { describeExtensions, noise, type Numbers, precisionsOf, rounded, runKernel, sameBits } from '../spec-support';
import { type Precision } from '../tile';
import { type AttentionShape, fitsSelfAttention } from './attention-geometry';
import { selfAttentionKernel } from './self-attention';
import { selfAttentionGradientKernel } from './self-attention-gradient';

installMatchers();

const shapes: AttentionShape[] = [[1, 1, 1, 8], [2, 5, 2, 4], [2, 17, 2, 5], [1, 33, 3, 16], [2, 64, 2, 24], [1, 70, 1, 40], [1, 97, 1, 100], [1, 47, 2, 128]].map(([batch, length, heads, size]) => ({ batch, length, heads, size })); // prettier-ignore

/** Numbers, and how far from them one may be because weights and ds are rounded. */
class Expected {
  readonly values: Float64Array;
  readonly errors: Float64Array;

  constructor(length: number) {
    this.values = new Float64Array(length);
    this.errors = new Float64Array(length);
  }

  add(at: number, value: number, error: number): void {
    this.values[at] += value;
    this.errors[at] += Math.abs(error);
  }
}

/** What rounding to bfloat16 changes a number by, in shares of it. */
const unit = 2 ** -8;

/**
 * y, and the gradient of Σ dy y, of rounded factors in double precision. Rounding p to p (1 + δ), |δ| ≤ u, over its sum moves y, and
 * the mean of dp, by Σ p δ (v − y) / (1 + Σ p δ); p of the gradient by (1 + ε)(1 + δ), as ds, since it is over that sum, too.
 */
function truth({ batch, length, heads, size, precision }: AttentionShape, ...given: [Float32Array, Float32Array]) {
  const [qkv, dy] = given.map((values) => rounded(values, precision));
  const width = heads * size;
  const [y, dqkv] = [new Expected(batch * length * width), new Expected(qkv.length)];
  const scale = 1 / Math.sqrt(size);
  const once = precision === 'bfloat16' ? unit / (1 - unit) : 0;
  const twice = (1 + once) ** 2 - 1;
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < heads; h++) {
      const at = (t: number, part: number): number => ((b * length + t) * 3 + part) * width + h * size;
      const out = (t: number): number => (b * length + t) * width + h * size;
      const dot = (some: Float32Array, others: Float32Array): number =>
        some.reduce((sum, x, d) => sum + x * others[d], 0);
      const headOf = (values: Float32Array, from: number): Float32Array => values.subarray(from, from + size);
      for (let t = 0; t < length; t++) {
        const scores = Array.from(
          { length: t + 1 },
          (_, s) => dot(headOf(qkv, at(t, 0)), headOf(qkv, at(s, 1))) * scale,
        );
        const largest = Math.max(...scores);
        const total = scores.reduce((sum, score) => sum + Math.exp(score - largest), 0);
        const p = scores.map((score) => Math.exp(score - largest) / total);
        p.forEach((weight, s) => {
          for (let d = 0; d < size; d++) y.add(out(t) + d, weight * qkv[at(s, 2) + d], 0);
        });
        p.forEach((weight, s) => {
          for (let d = 0; d < size; d++)
            y.add(out(t) + d, 0, once * weight * (qkv[at(s, 2) + d] - y.values[out(t) + d]));
        });
        const dp = p.map((_, s) => dot(headOf(dy, out(t)), headOf(qkv, at(s, 2))));
        const mean = p.reduce((sum, weight, s) => sum + weight * dp[s], 0);
        const meanError = once * p.reduce((sum, weight, s) => sum + weight * Math.abs(dp[s] - mean), 0);
        p.forEach((weight, s) => {
          const ds = weight * (dp[s] - mean) * scale;
          const error = twice * Math.abs(ds) + (1 + twice) * weight * meanError * scale;
          for (let d = 0; d < size; d++) {
            const [q, k] = [qkv[at(t, 0) + d], qkv[at(s, 1) + d]];
            dqkv.add(at(t, 0) + d, ds * k, error * k);
            dqkv.add(at(s, 1) + d, ds * q, error * q);
            dqkv.add(at(s, 2) + d, weight * dy[out(t) + d], twice * weight * dy[out(t) + d]);
          }
        });
      }
    }
  return { y, dqkv };
}

/** Compares in shares of what may be wrong: by rounding to bfloat16, and beside it by what float32 may be. */
function expectNear(actual: Numbers, { values, errors }: Expected, absolute: number): void {
  const share = Array.from(actual, (value, i) => {
    const allowed = errors[i] + absolute + tolerances.composed.relative * Math.abs(values[i]);
    return (value - values[i]) / allowed;
  });
  expect(share).toBeAllClose(new Float64Array(share.length), { relative: 0, absolute: 1 });
}

/** Rows of `width` numbers, of each sequence the first `length`; what is missing is `padding`. */
function resized(
  rows: Numbers,
  batch: number,
  { width, length, padding = 0 }: { width: number; length: number; padding?: number },
): Float32Array {
  // prettier-ignore
  const result = new Float32Array(batch * length * width).fill(padding);
  const from = rows.length / batch;
  for (let b = 0; b < batch; b++)
    result.set(rows.subarray(b * from, b * from + Math.min(from, length * width)), b * length * width);
  return result;
}

interface Result {
  readonly y: Numbers;
  readonly dqkv: Numbers;
}

/** Both kernels, one after the other. */
function computing(
  extension: VectorExtension,
  shape: AttentionShape,
): (given: readonly Float32Array[], order?: 'from last') => Result {
  const [forward, backward] = [selfAttentionKernel(extension, shape), selfAttentionGradientKernel(extension, shape)];
  return ([qkv, dy], order) => {
    const [y, statistics] = runKernel(forward, [qkv], { order });
    const [dqkv] = runKernel(backward, [qkv, y, statistics, dy], { order });
    return { y, dqkv };
  };
}

const drawn = ({ batch, length, heads, size }: AttentionShape): [Float32Array, Float32Array] => [
  noise(batch * length * 3 * heads * size).map((x) => 2 * x),
  noise(batch * length * heads * size, 2),
];

const describePrecisions = (body: (extension: VectorExtension, precision: Precision) => void): void =>
  describeExtensions('self-attention', (extension) => {
    for (const precision of precisionsOf(extension)) describe(precision, () => body(extension, precision));
  });

describePrecisions((extension, precision) => {
  it.each(shapes)('$batch × $length tokens, $heads heads of $size, and the gradient', (sizes) => {
    const shape = { ...sizes, precision };
    const given = drawn(shape);
    const expected = truth(shape, ...given);
    const compute = computing(extension, shape);
    const result = compute(given);
    expectNear(result.y, expected.y, tolerances.composed.absolute);
    expectNear(result.dqkv, expected.dqkv, 3e-5);
    const again = compute(given, 'from last');
    expect(sameBits([again.y, again.dqkv], [result.y, result.dqkv])).toBe(true);
  });

  // From less than a vector to more than two blocks.
  it.each([1, 2, 15, 16, 31, 37, 64, 69])('%i tokens give the same bytes whatever follows, and whatever else there is', (length) => {
    const shape = { batch: 2, length, heads: 2, size: 20, precision };
    const [qkv, dy] = drawn(shape);
    const { y, dqkv } = computing(extension, shape)([qkv, dy]);
    for (const longer of [length + 1, length + 28]) {
      const padded = computing(extension, { ...shape, length: longer })([
        resized(qkv, 2, { width: 120, length: longer, padding: 3 }),
        resized(dy, 2, { width: 40, length: longer }),
      ]);
      expect(sameBits([resized(padded.y, 2, { width: 40, length })], [y])).toBe(true);
      expect(resized(padded.dqkv, 2, { width: 120, length })).toEqual(dqkv); // 0 and −0 are the same
    }
    const half = <T extends Numbers>(all: T): T => all.slice(all.length / 2) as T;
    const alone = computing(extension, { ...shape, batch: 1 })([half(qkv), half(dy)]);
    expect(sameBits([alone.y, alone.dqkv], [half(y), half(dqkv)])).toBe(true);
  }); // prettier-ignore

  it('what is no number reaches a token of which it is a part, and not the others', () => {
    const [length, size] = [69, 20];
    const shape = { batch: 1, length, heads: 1, size, precision };
    const [qkv, dy] = drawn(shape);
    const compute = computing(extension, shape);
    const clean = compute([qkv, dy]);
    const rows = (values: Numbers, width: number, [from, to]: [number, number]): Numbers =>
      values.subarray(from * width, to * width);
    const part = (values: Numbers, nth: number): Float32Array =>
      Float32Array.from({ length: length * size }, (_, i) => values[Math.floor(i / size) * 3 * size + nth * size + (i % size)]); // prettier-ignore
    for (let token = 0; token < length; token++) {
      // A token: queries before it have y and dq as they were.
      const bad = qkv.slice();
      bad.fill(NaN, token * 3 * size, (token + 1) * 3 * size);
      const after = compute([bad, dy]);
      const before: [number, number] = [0, token];
      expect(sameBits([rows(after.y, size, before)], [rows(clean.y, size, before)])).toBe(true);
      expect(sameBits([rows(part(after.dqkv, 0), size, before)], [rows(part(clean.dqkv, 0), size, before)])).toBe(true);
      expect(rows(after.y, size, [token, length]).every(Number.isNaN)).toBe(true);
      // Its dy: keys and values after it have their gradients, all other queries theirs.
      const badDy = dy.slice();
      badDy.fill(NaN, token * size, (token + 1) * size);
      const { dqkv } = compute([qkv, badDy]);
      for (const nth of [0, 1, 2]) {
        const behind: [number, number] = [token + 1, length];
        expect(sameBits([rows(part(dqkv, nth), size, behind)], [rows(part(clean.dqkv, nth), size, behind)])).toBe(true);
      }
      expect(sameBits([rows(part(dqkv, 0), size, before)], [rows(part(clean.dqkv, 0), size, before)])).toBe(true);
      expect(rows(part(dqkv, 2), size, [0, token + 1]).every(Number.isNaN)).toBe(true);
    }
  });

  it('values that do not differ are what their mix is, and no score has a gradient', () => {
    const shape = { batch: 1, length: 61, heads: 1, size: 24, precision };
    const [qkv, dy] = drawn(shape);
    const value = noise(24, 5);
    for (let token = 0; token < 61; token++) qkv.set(value, token * 72 + 48);
    const { y, dqkv } = computing(extension, shape)([qkv, dy]);
    const mix = rounded(value, precision);
    expect(y).toBeAllClose(
      Float32Array.from(y, (_, i) => mix[i % 24]),
      tolerances.rounded,
    );
    const scores = dqkv.filter((_, i) => i % 72 < 48);
    expect(scores).toBeAllClose(new Float32Array(scores.length), { relative: 0, absolute: 1e-5 });
  });

  it('a head that the stack cannot hold has the same results', () => {
    const shape = { batch: 1, length: 4096, heads: 2, size: 32, precision };
    const short = { ...shape, length: 99 };
    const [qkv, dy] = drawn(short);
    const longer = computing(
      extension,
      shape,
    )([resized(qkv, 1, { width: 192, length: 4096, padding: 1 }), resized(dy, 1, { width: 64, length: 4096 })]);
    const expected = computing(extension, short)([qkv, dy]);
    expect(sameBits([longer.y.slice(0, expected.y.length)], [expected.y])).toBe(true);
    expect(longer.dqkv.slice(0, expected.dqkv.length)).toEqual(expected.dqkv);
  });

  it('what fits has stack enough, in both directions', () => {
    for (const shape of [{ length: 4096, size: 64 }, { length: 64, size: 2048 }, { length: 4096, size: 2048 }]) {
      expect(fitsSelfAttention(shape)).toBe(true);
      for (const kernel of [selfAttentionKernel, selfAttentionGradientKernel])
        expect(() => kernel(extension, { batch: 1, heads: 1, precision, ...shape })).not.toThrow();
    }
    expect(fitsSelfAttention({ length: 4097, size: 8 })).toBe(false);
    expect(fitsSelfAttention({ length: 8, size: 2049 })).toBe(false);
  }); // prettier-ignore
});
