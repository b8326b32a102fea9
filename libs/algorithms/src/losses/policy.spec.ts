import { tf } from '@pavlov/tensor';
import fc from 'fast-check';
import {
  expectAllClose,
  expectLossToMatch,
  GARBAGE,
  lossAndGradient,
  TOLERANCE,
  useCpuBackend,
  withGarbage,
} from '../spec-support';
import { clippedPolicyLoss } from './policy';

useCpuBackend();

interface Batch {
  logprobs: number[];
  oldLogprobs: number[];
  advantages: number[];
  mask: number[];
}

const run = (
  { logprobs, oldLogprobs, advantages, mask }: Batch,
  denominator?: number,
): { loss: number; gradient: Float32Array } =>
  lossAndGradient(
    (x) =>
      clippedPolicyLoss({
        logprobs: x,
        oldLogprobs: tf.tensor1d(oldLogprobs),
        advantages: tf.tensor1d(advantages),
        mask: tf.tensor1d(mask),
        clipRange: 0.2,
        denominator: denominator === undefined ? undefined : tf.scalar(denominator),
      }),
    tf.tensor1d(logprobs),
  );

// Multiples of 1/64 are exact floats, and none lies on ln 0.8 or ln 1.2, where the loss has a kink.
const sixtyFourth = (min: number, max: number): fc.Arbitrary<number> =>
  fc.integer({ min: min * 64, max: max * 64 }).map((n) => n / 64);
const token = fc.record({
  old: sixtyFourth(-4, 0),
  change: sixtyFourth(-1, 1),
  advantage: sixtyFourth(-3, 3),
  real: fc.boolean(),
});
const batch = fc.array(token, { minLength: 1, maxLength: 12 }).map((tokens): Batch => ({
  logprobs: tokens.map(({ old, change }) => old + change),
  oldLogprobs: tokens.map(({ old }) => old),
  advantages: tokens.map(({ advantage }) => advantage),
  mask: tokens.map(({ real }, i) => (real || i === 0 ? 1 : 0)),
}));

describe('clippedPolicyLoss', () => {
  it('gives the hand-worked value in each of the four corners', () => {
    // ratio 1.5, A = 1:  max(−1.5, −1.2) = −1.2    clipped: no reward for going on
    // ratio 1.5, A = −1: max( 1.5,  1.2) =  1.5    not clipped: it must come back
    // ratio 0.5, A = 1:  max(−0.5, −0.8) = −0.5    not clipped
    // ratio 0.5, A = −1: max( 0.5,  0.8) =  0.8    clipped
    // (−1.2 + 1.5 − 0.5 + 0.8) / 4 = 0.15
    const { loss, gradient } = run({
      logprobs: [Math.log(1.5), Math.log(1.5), Math.log(0.5), Math.log(0.5)],
      oldLogprobs: [0, 0, 0, 0],
      advantages: [1, -1, 1, -1],
      mask: [1, 1, 1, 1],
    });
    expectAllClose([loss], [0.15], TOLERANCE.floatGraph);
    // d/d log π of −A · ratio is −A · ratio, over 4 tokens; 0 where clipped.
    expectAllClose(gradient, [0, 1.5 / 4, -0.5 / 4, 0], TOLERANCE.floatGraph);
  });

  it('is minus the mean advantage at ratio 1, and its gradient the policy gradient', () => {
    fc.assert(
      fc.property(batch, (b) => {
        const { loss, gradient } = run({ ...b, logprobs: b.oldLogprobs });
        const count = b.mask.reduce((x, y) => x + y, 0);
        const mean = b.advantages.reduce((sum, advantage, i) => sum + advantage * b.mask[i], 0) / count;
        expectAllClose([loss], [-mean], TOLERANCE.floatGraph);
        expectAllClose(
          gradient,
          b.advantages.map((advantage, i) => (-advantage * b.mask[i]) / count),
          TOLERANCE.floatGraph,
        );
      }),
    );
  });

  it('has the gradient of finite differences', () => {
    fc.assert(
      fc.property(batch, (b) => {
        const count = b.mask.reduce((x, y) => x + y, 0);
        expectLossToMatch({
          graph: (logprobs) =>
            clippedPolicyLoss({
              logprobs,
              oldLogprobs: tf.tensor1d(b.oldLogprobs),
              advantages: tf.tensor1d(b.advantages),
              mask: tf.tensor1d(b.mask),
              clipRange: 0.2,
            }),
          reference: (logprobs) =>
            logprobs.reduce((sum, logprob, i) => {
              const ratio = Math.exp(logprob - b.oldLogprobs[i]);
              const gain = Math.min(b.advantages[i] * ratio, b.advantages[i] * Math.min(Math.max(ratio, 0.8), 1.2));
              return sum - (b.mask[i] * gain) / count;
            }, 0),
          at: b.logprobs,
        });
      }),
    );
  });

  it.each(GARBAGE)('does not read a masked %p', (garbage) => {
    const mask = [1, 0, 1, 0];
    const clean: Batch = { logprobs: [-1, -1, -2, 0], oldLogprobs: [-1.5, -1, -2, 0], advantages: [1, 0, -2, 0], mask };
    for (const field of ['logprobs', 'oldLogprobs', 'advantages'] as const) {
      const { loss, gradient } = run({ ...clean, [field]: withGarbage(clean[field], mask, garbage) });
      expect(loss).toBe(run(clean).loss);
      expectAllClose(gradient, run(clean).gradient, 0);
    }
  });

  it('adds up over microbatches that share a denominator', () => {
    const whole: Batch = {
      logprobs: [-1, -2, -0.5, -3],
      oldLogprobs: [-1.25, -2, -1, -2],
      advantages: [2, -1, 1, 3],
      mask: [1, 0, 1, 1],
    };
    const slice = (i: number): Batch => ({
      logprobs: [whole.logprobs[i]],
      oldLogprobs: [whole.oldLogprobs[i]],
      advantages: [whole.advantages[i]],
      mask: [whole.mask[i]],
    });
    const parts = [0, 1, 2, 3].map((i) => run(slice(i), 3));
    expectAllClose([parts.reduce((sum, part) => sum + part.loss, 0)], [run(whole).loss], TOLERANCE.floatGraph);
    expectAllClose(
      parts.flatMap((part) => [...part.gradient]),
      run(whole).gradient,
      0,
    );
  });
});
