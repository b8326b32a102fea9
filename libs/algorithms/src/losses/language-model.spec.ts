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
import { causalLmLoss } from './language-model';

useCpuBackend();

describe('causalLmLoss', () => {
  it('gives the hand-worked value', () => {
    // −(ln ½ + ln ¼) / 2 = (ln 2 + 2 ln 2) / 2 = 1.5 ln 2
    const logprobs = tf.tensor1d([Math.log(1 / 2), Math.log(1 / 10), Math.log(1 / 4)]);
    const { loss } = causalLmLoss({ logprobs, mask: tf.tensor1d([1, 0, 1]) });
    expectAllClose(loss.dataSync(), [1.5 * Math.LN2], TOLERANCE.floatGraph);
  });

  it('has the gradient of finite differences, 0 where masked', () => {
    const mask = [1, 0, 1, 1];
    expectLossToMatch({
      graph: (logprobs) => causalLmLoss({ logprobs, mask: tf.tensor1d(mask) }),
      reference: (logprobs) => -logprobs.reduce((sum, logprob, i) => sum + mask[i] * logprob, 0) / 3,
      at: [-0.5, -3, -1.25, -2],
    });
  });

  it.each(GARBAGE)('does not read a masked %p', (garbage) => {
    const mask = [1, 0, 1, 0];
    const run = (logprobs: number[]): { loss: number; gradient: Float32Array } =>
      lossAndGradient((x) => causalLmLoss({ logprobs: x, mask: tf.tensor1d(mask) }), tf.tensor1d(logprobs));
    const clean = [-1, -1, -2, -1];
    expect(run(withGarbage(clean, mask, garbage))).toEqual(run(clean));
  });

  it('adds up over 8 batches of 1 to one batch of 8, whatever the lengths', () => {
    const rows = 8;
    const columns = 5;
    const cells = fc.array(fc.integer({ min: -256, max: 0 }), { minLength: rows * columns, maxLength: rows * columns });
    const lengths = fc.array(fc.integer({ min: 0, max: columns }), { minLength: rows, maxLength: rows });
    fc.assert(
      fc.property(cells, lengths, (sixteenths, realTokens) => {
        fc.pre(realTokens.some((count) => count > 0));
        const logprobs = tf.tensor2d(
          sixteenths.map((x) => x / 16),
          [rows, columns],
        );
        const mask = tf.tensor2d(
          realTokens.map((count) => Array.from({ length: columns }, (_, t) => (t < count ? 1 : 0))),
        );
        const whole = lossAndGradient((x) => causalLmLoss({ logprobs: x, mask }), logprobs);
        const denominator = tf.sum(mask) as tf.Scalar;
        const parts = Array.from({ length: rows }, (_, row) =>
          lossAndGradient(
            (x) => causalLmLoss({ logprobs: x, mask: tf.slice(mask, [row, 0], [1, columns]), denominator }),
            tf.slice(logprobs, [row, 0], [1, columns]),
          ),
        );
        expectAllClose([parts.reduce((sum, part) => sum + part.loss, 0)], [whole.loss], TOLERANCE.floatGraph);
        expect(parts.flatMap((part) => [...part.gradient])).toEqual([...whole.gradient]);
      }),
      { numRuns: 25 },
    );
  });
});
