/**
 * Causal language-model loss over selected tokens.
 *
 * Method: −log p(token | tokens before), averaged over all real tokens of the batch. For supervised fine-tuning the mask
 * leaves the tokens of the completion, EOS included; for pretraining, every token with a token before it.
 * Reference: InstructGPT §3.5; a mean over tokens, not over sequences, as nanoGPT and TRL have it.
 * Leaves out: label smoothing, z-loss, and the shift by one position: `logprobs` are those of the targets already.
 */
import { tf } from '@pavlov/tensor';
import { maskedMean } from './masked';

/**
 * @param logprobs log p of each target token, [N].
 * @param mask 1 where the target is learned, [N].
 * @param denominator See `maskedMean`.
 */
export function causalLmLoss(input: { logprobs: tf.Tensor; mask: tf.Tensor; denominator?: tf.Scalar }): {
  loss: tf.Scalar;
} {
  const { logprobs, mask, denominator } = input;
  return { loss: tf.neg(maskedMean({ values: logprobs, mask, denominator })) }; // []
}
