/**
 * The reward model's loss over K ranked answers per prompt.
 *
 * Method: −log σ(r_winner − r_loser) over all C(K,2) pairs of a prompt, averaged over its untied pairs, then over
 * prompts. Each answer is scored once, so a prompt costs K forward passes and its pairs stay in one batch element.
 * Reference: InstructGPT §3.5 eq. 1, and its note on overfitting when pairs are shuffled apart. For K = 2 this is the
 * Bradley–Terry pair loss.
 * Leaves out: Plackett–Luce and softmax-over-options losses (Ziegler et al. 2019), margins, and pairs weighed by
 * confidence.
 */
import { tf } from '@pavlov/tensor';
import { selectReal } from './masked';

/**
 * B prompts, K the largest number of answers. Shapes are static: prompts with fewer answers have zero weights.
 *
 * @param scores r of each answer, [B, K].
 * @param pairWeights Weight of "answer i beat answer j", [B, K, K], from `rankingPairWeights`; they sum to 1 over the batch
 *   that the mean runs over.
 */
export function rankingLoss({ scores, pairWeights }: { scores: tf.Tensor; pairWeights: tf.Tensor }): {
  loss: tf.Scalar;
} {
  const differences = tf.sub(tf.expandDims(scores, 2), tf.expandDims(scores, 1)); // [B, K, K], r_i − r_j
  const margins = selectReal({ values: differences, mask: pairWeights }); // [B, K, K]
  // −log σ(x) = softplus(−x), which does not overflow.
  return { loss: tf.sum(tf.mul(pairWeights, tf.softplus(tf.neg(margins)))) }; // []
}
