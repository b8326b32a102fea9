/**
 * PPO-ptx: the policy loss with a share of the pretraining loss, against forgetting what pretraining taught.
 *
 * Method: policy loss + γ · pretraining loss, in one gradient.
 * Reference: InstructGPT §3.5 eq. 2, γ = 27.8. The paper does not say whether log π sums or averages over tokens; here
 * the pretraining loss is the mean over tokens (`causalLmLoss`), like the policy loss.
 * Leaves out: the value loss, which trains a network of its own.
 */
import { tf } from '@pavlov/tensor';

/** @param coefficient γ, the weight of the pretraining loss. */
export function ppoPtxLoss(input: { policyLoss: tf.Scalar; pretrainingLoss: tf.Scalar; coefficient: number }): {
  loss: tf.Scalar;
} {
  const { policyLoss, pretrainingLoss, coefficient } = input;
  return { loss: tf.add(policyLoss, tf.mul(coefficient, pretrainingLoss)) }; // []
}
