import { installMatchers, tolerances } from '@pavlov/testing';
import { describeExtensions, noise, runKernel, sameBits } from '../spec-support';
import { sampleKernel } from './sample';

installMatchers();

/** The largest float32 below 1. */
const almostOne = 1 - 2 ** -24;

describeExtensions('sampling', (extension) => {
  const draw = (logits: Float32Array, uniforms: Float32Array) => {
    const rows = uniforms.length;
    const kernel = sampleKernel(extension, { rows, vocabulary: logits.length / rows });
    const outputs = runKernel(kernel, [logits, uniforms]);
    expect(sameBits(runKernel(kernel, [logits, uniforms], { order: 'from last' }), outputs)).toBe(true);
    const [tokens, shifted, totals] = outputs;
    return { tokens, shifted, totals };
  };

  const vocabularies = [1, 5, 8, 16, 33, 512, 5001];
  it.each(vocabularies)('inverts the cumulative distribution over %i tokens', (vocabulary) => {
    const rows = 20;
    for (const scale of [1, 10, 100]) {
      const logits = noise(rows * vocabulary, scale).map((x) => scale * x - 1000);
      const uniforms = noise(rows, 3).map((x, row) => (row === 0 ? 0 : row === 1 ? almostOne : Math.abs(x)));
      const { tokens, shifted, totals } = draw(logits, uniforms);
      for (let row = 0; row < rows; row++) {
        const own = [...logits.subarray(row * vocabulary, (row + 1) * vocabulary)];
        const largest = Math.max(...own);
        const weights = own.map((logit) => Math.exp(logit - largest));
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const token = tokens[row];
        const below = weights.slice(0, token).reduce((sum, weight) => sum + weight, 0);
        expect(weights[token]).toBeGreaterThan(0);
        // The share lies within the token's own, but for what rounding of the sums moves.
        const room = 1e-5 * total;
        expect(uniforms[row] * total).toBeGreaterThanOrEqual(below - room);
        expect(uniforms[row] * total).toBeLessThan(below + weights[token] + room);
        expect([shifted[row], totals[row]]).toBeAllClose([own[token] - largest, total], tolerances.composed);
      }
    }
  });

  it('draws each token as often as its probability says', () => {
    const [rows, logits] = [4000, [0.3, -1, 2, -30, 0.5]];
    const uniforms = Float32Array.from({ length: rows }, (_, row) => (row + 0.5) / rows);
    const { tokens } = draw(
      Float32Array.from({ length: rows * 5 }, (_, i) => logits[i % 5]),
      uniforms,
    );
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    logits.forEach((logit, token) => {
      const count = tokens.filter((drawn) => drawn === token).length;
      expect(Math.abs(count - (rows * Math.exp(logit)) / total)).toBeLessThanOrEqual(1);
    });
    expect([...tokens]).toEqual([...tokens].sort((a, b) => a - b));
  });

  it.each(vocabularies)('of %i tokens, 0 draws the first that can be drawn, the largest below 1 the last', (vocabulary) => {
    if (vocabulary < 3) return;
    const logits = new Float32Array(2 * vocabulary).fill(1);
    for (const impossible of [0, vocabulary - 1, vocabulary, 2 * vocabulary - 1]) logits[impossible] = -1e9;
    const { tokens } = draw(logits, Float32Array.of(0, almostOne));
    expect([...tokens]).toEqual([1, vocabulary - 2]);
  }); // prettier-ignore

  it.each(vocabularies)('gives −1 for a row of %i that is not finite, and to no other', (vocabulary) => {
    for (const place of [0, Math.floor(vocabulary / 2), vocabulary - 1]) {
      const logits = noise(3 * vocabulary);
      logits[vocabulary + place] = NaN;
      const { tokens } = draw(logits, Float32Array.of(0.5, 0.5, 0.5));
      expect([...tokens].map((token) => token < 0)).toEqual([false, true, false]);
      expect(tokens[1]).toBe(-1);
    }
    const { tokens } = draw(new Float32Array(vocabulary).fill(Infinity), Float32Array.of(0.5));
    expect([...tokens]).toEqual([-1]);
  });
});
