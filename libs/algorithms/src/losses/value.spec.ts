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
import { clippedValueLoss } from './value';

useCpuBackend();

interface Batch {
  oldValues: number[];
  returns: number[];
  mask: number[];
}

const graphOf =
  ({ oldValues, returns, mask }: Batch) =>
  (values: tf.Tensor): { loss: tf.Scalar } =>
    clippedValueLoss({
      values,
      oldValues: tf.tensor1d(oldValues),
      returns: tf.tensor1d(returns),
      mask: tf.tensor1d(mask),
      clipRange: 0.2,
    });

describe('clippedValueLoss', () => {
  it('gives the hand-worked value', () => {
    // V = 1, V_old = 0.5, so V_clip = 0.7.
    // R = 0.6: max(0.4², 0.1²) = 0.16, the error of V itself; gradient ½ · 2 · 0.4 / 2 = 0.2
    // R = 1.5: max(0.5², 0.8²) = 0.64, the error of V_clip; no gradient: V has moved far enough
    // ½ · (0.16 + 0.64) / 2 = 0.2
    const graph = graphOf({ oldValues: [0.5, 0.5], returns: [0.6, 1.5], mask: [1, 1] });
    const { loss, gradient } = lossAndGradient(graph, tf.tensor1d([1, 1]));
    expectAllClose([loss], [0.2], TOLERANCE.floatGraph);
    expectAllClose(gradient, [0.2, 0], TOLERANCE.floatGraph);
  });

  it('is half the mean squared error while values stay within the clip', () => {
    const values = [0.1, -0.3, 2.15];
    const returns = [1, 0, -1];
    const graph = graphOf({ oldValues: [0, -0.2, 2], returns, mask: [1, 1, 1] });
    const halfSquares = values.map((value, i) => (value - returns[i]) ** 2 / 2);
    const { loss, gradient } = lossAndGradient(graph, tf.tensor1d(values));
    expectAllClose([loss], [(halfSquares[0] + halfSquares[1] + halfSquares[2]) / 3], TOLERANCE.floatGraph);
    expectAllClose(
      gradient,
      values.map((value, i) => (value - returns[i]) / 3),
      TOLERANCE.floatGraph,
    );
  });

  it('has the gradient of finite differences', () => {
    // Multiples of 1/16 are exact floats and never lie on a kink: 0.2 is no sum of them.
    const sixteenth = fc.integer({ min: -32, max: 32 }).map((n) => n / 16);
    const token = fc.record({ value: sixteenth, old: sixteenth, target: sixteenth, real: fc.boolean() });
    fc.assert(
      fc.property(fc.array(token, { minLength: 1, maxLength: 10 }), (tokens) => {
        const b: Batch = {
          oldValues: tokens.map(({ old }) => old),
          returns: tokens.map(({ target }) => target),
          mask: tokens.map(({ real }, i) => (real || i === 0 ? 1 : 0)),
        };
        const count = b.mask.reduce((x, y) => x + y, 0);
        expectLossToMatch({
          graph: graphOf(b),
          reference: (values) =>
            values.reduce((sum, value, i) => {
              const clipped = b.oldValues[i] + Math.min(Math.max(value - b.oldValues[i], -0.2), 0.2);
              const worst = Math.max((value - b.returns[i]) ** 2, (clipped - b.returns[i]) ** 2);
              return sum + (b.mask[i] * worst) / (2 * count);
            }, 0),
          at: tokens.map(({ value }) => value),
        });
      }),
    );
  });

  it.each(GARBAGE)('does not read a masked %p', (garbage) => {
    const mask = [1, 0, 0, 1];
    const clean: Batch = { oldValues: [0, 0, 0, 0], returns: [1, 0, 0, 2], mask };
    const dirty: Batch = {
      oldValues: withGarbage(clean.oldValues, mask, garbage),
      returns: withGarbage(clean.returns, mask, garbage),
      mask,
    };
    const values = [0.1, 0, 0, 3];
    const expected = lossAndGradient(graphOf(clean), tf.tensor1d(values));
    const actual = lossAndGradient(graphOf(dirty), tf.tensor1d(withGarbage(values, mask, garbage)));
    expect(actual.loss).toBe(expected.loss);
    expectAllClose(actual.gradient, expected.gradient, 0);
  });
});
