/**
 * Means over the real positions of a batch, inside a graph.
 *
 * N is the number of positions (B·T or any flat selection of them). `mask` [N] is 1 at a real position and 0 elsewhere.
 * Selection instead of multiplication: 0 · NaN and 0 · ∞ are NaN, and padding may hold either.
 * Leaves out: fractional weights.
 */
import { tf } from '@pavlov/tensor';

/** `values` at real positions, 0 at masked ones, in the value and in the gradient. Any shape, the mask's being the same. */
export function selectReal({ values, mask }: { values: tf.Tensor; mask: tf.Tensor }): tf.Tensor {
  return tf.where(tf.greater(mask, 0), values, tf.zeros(values.shape)); // like values
}

/**
 * Mean over real positions; 0 if there is none.
 *
 * @param denominator Divides the sum instead of the number of real positions in this batch. With gradient accumulation
 *   it is the number over all microbatches: then their losses and gradients add up to those of the whole batch.
 */
export function maskedMean(input: { values: tf.Tensor; mask: tf.Tensor; denominator?: tf.Scalar }): tf.Scalar {
  const { values, mask, denominator = tf.maximum(tf.sum(mask), 1) } = input;
  return tf.div(tf.sum(selectReal({ values, mask })), denominator); // []
}
