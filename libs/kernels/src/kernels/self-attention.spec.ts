import { installMatchers, tolerances } from '@pavlov/testing';
import { describeExtensions, noise, runKernel, sameBits } from '../spec-support';
import { type AttentionShape, fitsSelfAttention } from './attention-geometry';
import { selfAttentionKernel } from './self-attention';
import { selfAttentionGradientKernel } from './self-attention-gradient';

installMatchers();

const shapes: AttentionShape[] = [[1, 1, 1, 8], [2, 5, 2, 4], [1, 33, 3, 16], [2, 64, 2, 24], [1, 70, 1, 40], [1, 97, 1, 100]].map(([batch, length, heads, size]) => ({ batch, length, heads, size })); // prettier-ignore

/** In double precision: y, and the gradient of Σ dy y. */
function truth({ batch, length, heads, size }: AttentionShape, qkv: Float32Array, dy: Float32Array) {
  const width = heads * size;
  const y = new Float64Array(batch * length * width);
  const dqkv = new Float64Array(qkv.length);
  const scale = 1 / Math.sqrt(size);
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < heads; h++) {
      const at = (t: number, part: number): number => ((b * length + t) * 3 + part) * width + h * size;
      const out = (t: number): number => (b * length + t) * width + h * size;
      for (let t = 0; t < length; t++) {
        const scores: number[] = [];
        for (let s = 0; s <= t; s++) {
          let score = 0;
          for (let d = 0; d < size; d++) score += qkv[at(t, 0) + d] * qkv[at(s, 1) + d];
          scores.push(score * scale);
        }
        const largest = Math.max(...scores);
        const total = scores.reduce((sum, score) => sum + Math.exp(score - largest), 0);
        const p = scores.map((score) => Math.exp(score - largest) / total);
        const dp = p.map((weight, s) => {
          let sum = 0;
          for (let d = 0; d < size; d++) {
            y[out(t) + d] += weight * qkv[at(s, 2) + d];
            sum += dy[out(t) + d] * qkv[at(s, 2) + d];
          }
          return sum;
        });
        const mean = p.reduce((sum, weight, s) => sum + weight * dp[s], 0);
        p.forEach((weight, s) => {
          const ds = weight * (dp[s] - mean) * scale;
          for (let d = 0; d < size; d++) {
            dqkv[at(t, 0) + d] += ds * qkv[at(s, 1) + d];
            dqkv[at(s, 1) + d] += ds * qkv[at(t, 0) + d];
            dqkv[at(s, 2) + d] += weight * dy[out(t) + d];
          }
        });
      }
    }
  return { y, dqkv };
}

describeExtensions('self-attention', (extension) => {
  it.each(shapes)('$batch × $length tokens, $heads heads of $size, and the gradient', (shape) => {
    const { batch, length, heads, size } = shape;
    const tokens = batch * length;
    const qkv = noise(tokens * 3 * heads * size).map((x) => 2 * x);
    const dy = noise(tokens * heads * size, 2);
    const expected = truth(shape, qkv, dy);
    const forward = selfAttentionKernel(extension, shape);
    const outputs = runKernel(forward, [qkv]);
    expect(outputs[0]).toBeAllClose(expected.y, tolerances.composed);
    expect(sameBits(runKernel(forward, [qkv], { order: 'from last' }), outputs)).toBe(true);
    const backward = selfAttentionGradientKernel(extension, shape);
    const gradient = runKernel(backward, [qkv, ...outputs, dy]);
    expect(gradient[0]).toBeAllClose(expected.dqkv, { ...tolerances.composed, absolute: 3e-5 });
    expect(sameBits(runKernel(backward, [qkv, ...outputs, dy], { order: 'from last' }), gradient)).toBe(true);
  });

  it('what fits has stack enough, in both directions', () => {
    for (const shape of [{ length: 4096, size: 64 }, { length: 64, size: 2048 }, { length: 4096, size: 2048 }]) {
      expect(fitsSelfAttention(shape)).toBe(true);
      for (const kernel of [selfAttentionKernel, selfAttentionGradientKernel])
        expect(() => kernel(extension, { batch: 1, heads: 1, ...shape })).not.toThrow();
    }
    expect(fitsSelfAttention({ length: 4097, size: 8 })).toBe(false);
    expect(fitsSelfAttention({ length: 8, size: 2049 })).toBe(false);
  }); // prettier-ignore
});
