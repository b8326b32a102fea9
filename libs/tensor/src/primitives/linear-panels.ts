import { tf } from '../tf';
import { hasKernels, runTraced } from '../trace-backend';
import { gelu } from './gelu';

/** How a matrix is stored: [inputs, outputs] or [outputs, inputs]. */
export type MatrixOrder = 'inputs first' | 'outputs first';

/** A matrix as `linearPanels` reads it, flat. Its size and order are the business of the backend. */
export function packPanels(w: tf.Tensor, order: MatrixOrder): tf.Tensor {
  if (hasKernels()) return runTraced('PavlovPackMatrix', { w }, { order })[0];
  return tf.reshape(order === 'inputs first' ? w : tf.transpose(w), [w.size]);
}

export interface LinearPanelsInput {
  /** [N, I] */
  readonly x: tf.Tensor;
  /** What `packPanels` made of a matrix with I inputs and O outputs. */
  readonly panels: tf.Tensor;
  /** [O] */
  readonly b: tf.Tensor;
  /** Of x w + b. */
  readonly activation?: 'gelu';
  /** Added in the end, [N, O]. */
  readonly residual?: tf.Tensor;
}

/** act(x w + b) + residual → [N, O], for few rows and a matrix that is used many times; forward only. */
export function linearPanels({ x, panels, b, activation, residual }: LinearPanelsInput): tf.Tensor {
  const [inputs, outputs] = [x.shape[1]!, b.size];
  if (hasKernels())
    return runTraced('PavlovLinearPanels', { x, panels, b, ...(residual && { residual }) }, { outputs, activation })[0];
  const mapped = tf.add(tf.matMul(x, tf.reshape(panels, [inputs, outputs])), b);
  const activated = activation === 'gelu' ? gelu(mapped) : mapped;
  return residual ? tf.add(activated, residual) : activated;
}
