import { tf } from '../tf';

export interface Differentiable {
  readonly value: tf.Tensor;
  /** Tensors that the gradient needs. */
  readonly saved: readonly tf.Tensor[];
  /** Gradients of all inputs, from the gradient of the value and what was saved. */
  gradient(dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[];
}

/** `tf.customGrad` with types: computes `forward(inputs)`, differentiated by its `gradient` instead of step by step. */
export function customGradient(
  inputs: readonly tf.Tensor[],
  forward: (inputs: tf.Tensor[]) => Differentiable,
): tf.Tensor {
  const run = tf.customGrad((...args) => {
    const save = args.pop() as tf.GradSaveFunc;
    const { value, saved, gradient } = forward(args as tf.Tensor[]);
    save([...saved]);
    return { value, gradFunc: (dy, kept) => gradient(dy as tf.Tensor, kept) };
  });
  return run(...inputs);
}
