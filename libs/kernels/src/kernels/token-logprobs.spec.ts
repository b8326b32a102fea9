import { installMatchers } from '@pavlov/testing';
import { describeExtensions, noise, runKernel, sameBits } from '../spec-support';
import {
  entropyGradientKernel,
  entropyKernel,
  tokenLogprobsGradientKernel,
  tokenLogprobsKernel,
} from './token-logprobs';

installMatchers();

const shapes = [[1, 1], [5, 33], [40, 512], [300, 100]]; // prettier-ignore
const temperature = 0.7;

describeExtensions('log-probs and entropies', (extension) => {
  describe.each(shapes)('of [%i, %i] logits', (rows, columns) => {
    const logits = noise(rows * columns).map((x) => 5 * x + 100);
    const targets = Int32Array.from({ length: rows }, (_, row) => (row * 31) % columns);
    const dy = noise(rows, 3);
    const t = Float32Array.of(temperature);
    const exclusions = [undefined, ...(columns > 1 ? [{ column: columns - 1, added: -1e9 }] : [])];
    describe.each(exclusions)('but for %p', (excluded) => {
      const spec = { rows, columns, excluded };
      /** log p of each row, in double precision. */
      const logp = Array.from({ length: rows }, (_, row) => {
        const z = [...logits.subarray(row * columns, (row + 1) * columns)].map((x, c) => (x + (c === excluded?.column ? excluded.added : 0)) / temperature); // prettier-ignore
        const largest = Math.max(...z);
        const total = z.reduce((sum, one) => sum + Math.exp(one - largest), 0);
        return z.map((one) => one - largest - Math.log(total));
      });
      const absolute = 4e-5; // logits of about 100 are rounded in 1e-5

      it('log-probs, and their gradient', () => {
        const own = targets.map((target) => (target === excluded?.column ? 0 : target));
        const forward = tokenLogprobsKernel(extension, spec);
        const outputs = runKernel(forward, [logits, own, t]);
        expect(outputs[0]).toBeAllClose(logp.map((row, i) => row[own[i]]), { relative: 5e-5, absolute }); // prettier-ignore
        expect(sameBits(runKernel(forward, [logits, own, t], { order: 'from last' }), outputs)).toBe(true);
        const backward = tokenLogprobsGradientKernel(extension, spec);
        const given = [logits, own, t, outputs[1], dy];
        const gradient = runKernel(backward, given);
        const expected = logp.flatMap((row, i) => row.map((one, c) => (dy[i] * ((c === own[i] ? 1 : 0) - Math.exp(one))) / temperature)); // prettier-ignore
        expect(gradient[0]).toBeAllClose(expected, { relative: 1e-4, absolute });
        expect(sameBits(runKernel(backward, given, { order: 'from last', over: { 0: 0 } }), gradient)).toBe(true);
      });

      it('entropies, and their gradient', () => {
        const forward = entropyKernel(extension, spec);
        const outputs = runKernel(forward, [logits, t]);
        const entropies = logp.map((row) => -row.reduce((sum, one) => sum + Math.exp(one) * one, 0));
        expect(outputs[0]).toBeAllClose(entropies, { relative: 5e-5, absolute });
        expect(sameBits(runKernel(forward, [logits, t], { order: 'from last' }), outputs)).toBe(true);
        const backward = entropyGradientKernel(extension, spec);
        const given = [logits, t, outputs[0], outputs[1], dy];
        const gradient = runKernel(backward, given);
        const expected = logp.flatMap((row, i) => row.map((one) => (-dy[i] * Math.exp(one) * (one + entropies[i])) / temperature)); // prettier-ignore
        expect(gradient[0]).toBeAllClose(expected, { relative: 1e-4, absolute });
        expect(sameBits(runKernel(backward, given, { order: 'from last', over: { 0: 0 } }), gradient)).toBe(true);
      });
    });
  });

  it('a target that is no column has no log-prob, and no memory beside the row is read', () => {
    const logits = noise(4 * 20);
    const targets = Int32Array.of(-1, 20, 2 ** 31 - 1, 3);
    const [logprobs] = runKernel(tokenLogprobsKernel(extension, { rows: 4, columns: 20 }), [logits, targets, Float32Array.of(1)]); // prettier-ignore
    expect([...logprobs].map(Number.isNaN)).toEqual([true, true, true, false]);
  });

  it('a row with NaN has none, and leaves the others theirs', () => {
    const logits = noise(3 * 20);
    logits[25] = NaN;
    const given = [logits, Int32Array.of(1, 2, 3), Float32Array.of(1)];
    const [logprobs] = runKernel(tokenLogprobsKernel(extension, { rows: 3, columns: 20 }), given);
    expect([...logprobs].map(Number.isNaN)).toEqual([false, true, false]);
  });
});
