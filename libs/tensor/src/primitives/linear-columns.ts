import { tf } from '../tf';
import { isTracing, runTraced } from '../trace-backend';

export interface LinearColumnsInput {
  /** [O, I] */
  readonly w: tf.Tensor;
  /** [O, 1] */
  readonly b: tf.Tensor;
  /** [N, I], or [I, N] with `transposed`. */
  readonly x: tf.Tensor;
  readonly transposed?: boolean;
}

/**
 * w xᵀ + b: the columns of the result, [O, N], are the outputs of the rows of x; forward only. For few rows: ONNX Runtime
 * rearranges the second factor of a product on every call, which for a weight costs as much as reading it; here that is x.
 */
export function linearColumns({ w, b, x, transposed = false }: LinearColumnsInput): tf.Tensor {
  if (isTracing()) return runTraced('PavlovLinearColumns', { w, b, x }, { transposed })[0];
  return tf.add(tf.matMul(w, x, false, !transposed), b);
}
