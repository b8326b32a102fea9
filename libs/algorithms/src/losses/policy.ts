/**
 * PPO's clipped policy loss, per token.
 *
 * Method, with ratio = π / π_old of the sampled token: mean of max(−A · ratio, −A · clip(ratio, 1 − c, 1 + c)).
 * Reference: Schulman et al. 2017 (arXiv 1707.06347) eq. 7; masked per-token mean as in Huang et al. 2023.
 * Leaves out: an entropy bonus (the RLHF papers have none), dual clipping, and the KL penalty, which is in the rewards.
 */
import { tf } from '@pavlov/tensor';
import { maskedMean, selectReal } from './masked';

/**
 * @param logprobs log π of the sampled tokens under the weights being trained, [N].
 * @param oldLogprobs The same when the tokens were sampled, [N].
 * @param advantages A, usually whitened, [N].
 * @param mask 1 at tokens of a response, [N].
 * @param clipRange c; 0.2 in InstructGPT.
 * @param denominator See `maskedMean`.
 */
export function clippedPolicyLoss(input: {
  logprobs: tf.Tensor;
  oldLogprobs: tf.Tensor;
  advantages: tf.Tensor;
  mask: tf.Tensor;
  clipRange: number;
  denominator?: tf.Scalar;
}): { loss: tf.Scalar } {
  const { mask, clipRange, denominator } = input;
  // Masked before exp, which garbage could overflow.
  const logRatio = selectReal({ values: tf.sub(input.logprobs, input.oldLogprobs), mask }); // [N]
  const ratio = tf.exp(logRatio); // [N]
  const costs = tf.neg(selectReal({ values: input.advantages, mask })); // [N]
  const unclipped = tf.mul(costs, ratio); // [N]
  const clipped = tf.mul(costs, tf.clipByValue(ratio, 1 - clipRange, 1 + clipRange)); // [N]
  return { loss: maskedMean({ values: tf.maximum(unclipped, clipped), mask, denominator }) }; // []
}
