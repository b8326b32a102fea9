import { tf } from '../tf';
import { hasKernels, runTraced } from '../trace-backend';

export interface Sample {
  /** Int32 [N]; −1 where the logits of a row are not all numbers. */
  readonly tokens: tf.Tensor;
  /** The token's logit less the largest of its row, [N]. */
  readonly shifted: tf.Tensor;
  /** Σ e^(logit − largest), [N]: the token's log-probability is `shifted` − log of this. */
  readonly totals: tf.Tensor;
}

/**
 * One token for each row of logits [N, V], drawn from its softmax by inverting the cumulative distribution in the order of ids at
 * `uniforms` [N], each in [0, 1).
 */
export function sample({ logits, uniforms }: { logits: tf.Tensor; uniforms: tf.Tensor }): Sample {
  if (hasKernels()) {
    const [tokens, shifted, totals] = runTraced('PavlovSample', { logits, uniforms });
    return { tokens, shifted, totals };
  }
  const below = tf.sub(logits, tf.max(logits, 1, true)); // [N, V]
  const sums = tf.cumsum(tf.exp(below), 1);
  const totals = tf.max(sums, 1); // [N]
  const exceeds = tf.cast(tf.greater(sums, tf.expandDims(tf.mul(uniforms, totals), 1)), 'float32');
  const first = tf.argMax(exceeds, 1); // [N]
  const tokens = tf.where(tf.greater(tf.max(exceeds, 1), 0), first, tf.scalar(-1, 'int32'));
  const shifted = tf.sum(tf.mul(below, tf.oneHot(first, logits.shape[1]!)), 1);
  return { tokens: tf.cast(tokens, 'int32'), shifted, totals };
}
