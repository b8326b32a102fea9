import { tf } from '../tf';

/** How logits become probabilities. */
export interface LogitsOptions {
  /** Divides the logits: a number, or a tensor of one; 1 by default. Carries no gradient. */
  readonly temperature?: number | tf.Tensor;
  /** An id whose probability is exactly zero, whatever its logit. */
  readonly excluded?: number;
}

/** What is added to the logit of an excluded id. Finite, so that p · log p stays a number in entropies. */
export const excludedLogit = -1e9;

/** [V]: zero but for the excluded id. */
export function exclusion(vocabulary: number, excluded: number): tf.Tensor {
  const mask = new Float32Array(vocabulary);
  mask[excluded] = excludedLogit;
  return tf.tensor1d(mask);
}

/** The logits of which the softmax is taken, [N, V]. */
export function scaledLogits(logits: tf.Tensor, { temperature, excluded }: LogitsOptions): tf.Tensor {
  const allowed = excluded === undefined ? logits : tf.add(logits, exclusion(logits.shape.at(-1)!, excluded));
  return temperature === undefined ? allowed : tf.div(allowed, temperature);
}

/** What kernels take instead. */
export const kernelOptions = ({ temperature = 1, excluded }: LogitsOptions) => ({
  temperature: typeof temperature === 'number' ? tf.tensor1d([temperature]) : temperature, // [1]
  attributes: { excluded: excluded === undefined ? undefined : { column: excluded, added: excludedLogit } },
});
