/**
 * Activation checkpointing: memory for time.
 *
 * Method: of a part of a network only its inputs are kept. When its gradient is due, the part is computed once more from them.
 * Reference: Chen et al. 2016, "Training deep nets with sublinear memory cost" (arXiv 1604.06174).
 * Leaves out: choosing the parts, and parts within parts.
 */
import { tf } from '../tf';
import { isTracing, runTraced } from '../trace-backend';
import { customGradient } from './custom-gradient';

export interface RecomputedInput {
  /** What everything in the part depends on: what does not is computed once, and kept. */
  readonly x: tf.Tensor;
  /** Other float tensors that are differentiated, by name. */
  readonly weights: Readonly<Record<string, tf.Tensor>>;
  /** Tensors without a gradient, such as dropout's masks, by name. */
  readonly constants?: Readonly<Record<string, tf.Tensor>>;
}

/** `fn(input)`, whose gradient computes it again. `fn` may use no tensors but its input. The numbers are the same. */
export function recomputed(
  { x, weights, constants = {} }: RecomputedInput,
  fn: (input: Required<RecomputedInput>) => tf.Tensor,
): tf.Tensor {
  const names = Object.keys(weights);
  const learned = names.length + 1;
  const named = (names: readonly string[], tensors: readonly tf.Tensor[]): Record<string, tf.Tensor> =>
    Object.fromEntries(names.map((name, i) => [name, tensors[i]]));
  const compute = ([x, ...others]: readonly tf.Tensor[]): tf.Tensor =>
    fn({
      x,
      weights: named(names, others),
      constants: named(Object.keys(constants), others.slice(names.length)),
    });
  return customGradient([x, ...Object.values(weights), ...Object.values(constants)], (inputs) => ({
    value: compute(inputs),
    saved: inputs,
    gradient: (dy, [x, ...others]) => {
      // Without the wait, it could be done right away: ONNX Runtime would even merge it with the first time.
      const again = [after(x, dy), ...others];
      const gradients = innerGradients(again.slice(0, learned), { dy, fn: () => compute(again) });
      return [...gradients, ...again.slice(learned).map((constant) => tf.zerosLike(constant))];
    },
  }));
}

/** x; in a graph, what is computed from it waits for `other`. */
export function after(x: tf.Tensor, other: tf.Tensor): tf.Tensor {
  return isTracing() ? runTraced('PavlovAfter', { x, other })[0] : x;
}

/** Gradients within a gradient: tfjs has one tape, and forgets it after the inner ones. */
function innerGradients(inputs: tf.Tensor[], { dy, fn }: { dy: tf.Tensor; fn: () => tf.Tensor }): tf.Tensor[] {
  const { state } = tf.engine();
  const tape = state.activeTape;
  try {
    const allowMissing = true;
    const { grads } = tf.engine().gradients(fn, inputs, dy, allowMissing);
    return inputs.map((input, i) => (grads[i] as tf.Tensor | undefined) ?? tf.zerosLike(input));
  } finally {
    state.activeTape = tape;
  }
}
