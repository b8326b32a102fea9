import { tf } from '@pavlov/tensor';
import { GARBAGE, lossAndGradient, useCpuBackend, withGarbage } from '../spec-support';
import { maskedMean } from './masked';

useCpuBackend();

const mask = [1, 1, 0, 1];
const meanOf = (values: readonly number[], denominator?: tf.Scalar): number =>
  maskedMean({ values: tf.tensor1d([...values]), mask: tf.tensor1d(mask), denominator }).dataSync()[0];

describe('maskedMean', () => {
  it('averages the real positions only', () => {
    // (1 + 2 + 6) / 3
    expect(meanOf([1, 2, 100, 6])).toBe(3);
  });

  it.each(GARBAGE)('never reads a masked %p, in the value or in the gradient', (garbage) => {
    const values = tf.tensor1d(withGarbage([1, 2, 0, 6], mask, garbage));
    const graph = (x: tf.Tensor): { loss: tf.Scalar } => ({
      // exp turns 1e30 into ∞ on the way.
      loss: maskedMean({ values: tf.exp(x), mask: tf.tensor1d(mask), denominator: tf.scalar(1) }),
    });
    const { loss, gradient } = lossAndGradient((x) => graph(x), values);
    expect(loss).toBeCloseTo(Math.E + Math.E ** 2 + Math.E ** 6, 3);
    expect(gradient.filter((_, i) => mask[i] > 0).every((slope) => slope > 0)).toBe(true);
    expect(meanOf(withGarbage([1, 2, 0, 6], mask, garbage))).toBe(3);
  });

  it('divides by the denominator that is given', () => {
    expect(meanOf([1, 2, 100, 6], tf.scalar(18))).toBe(0.5);
  });

  it('is 0 when nothing is real', () => {
    const nothing = maskedMean({ values: tf.tensor1d([5, NaN]), mask: tf.zeros([2]) });
    expect(nothing.dataSync()[0]).toBe(0);
  });
});
