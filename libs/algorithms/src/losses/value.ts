/**
 * PPO's clipped value loss, per token.
 *
 * Method: ½ · mean of max((V − R)², (V_clip − R)²), where V_clip keeps V within ± c of what it was at rollout time.
 * Reference: lm-human-preferences and Huang et al. 2023 (docs/stages/ppo.md, detail 16: c = 0.2, weight 0.1).
 * Leaves out: Huber losses and normalised returns.
 */
import { tf } from '@pavlov/tensor';
import { maskedMean, selectReal } from './masked';

/**
 * @param values V under the weights being trained, [N].
 * @param oldValues V at rollout time, [N].
 * @param returns R, the targets, [N].
 * @param mask 1 at tokens of a response, [N].
 * @param clipRange c.
 * @param denominator See `maskedMean`.
 */
export function clippedValueLoss(input: {
  values: tf.Tensor;
  oldValues: tf.Tensor;
  returns: tf.Tensor;
  mask: tf.Tensor;
  clipRange: number;
  denominator?: tf.Scalar;
}): { loss: tf.Scalar } {
  const { mask, clipRange, denominator } = input;
  const values = selectReal({ values: input.values, mask }); // [N]
  const oldValues = selectReal({ values: input.oldValues, mask }); // [N]
  const returns = selectReal({ values: input.returns, mask }); // [N]
  // Bounds on V itself: V_old + clip(V − V_old) would round, and the two branches would differ by noise.
  const floor = tf.sub(oldValues, clipRange); // [N]
  const ceiling = tf.add(oldValues, clipRange); // [N]
  const clipped = tf.minimum(tf.maximum(values, floor), ceiling); // [N]
  const worst = tf.maximum(tf.square(tf.sub(values, returns)), tf.square(tf.sub(clipped, returns))); // [N]
  return { loss: tf.mul(0.5, maskedMean({ values: worst, mask, denominator })) }; // []
}
