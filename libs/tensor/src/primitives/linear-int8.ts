import { dequantizeMatrix, type QuantizedMatrix } from '../quantize';
import { tf } from '../tf';
import { isTracing, runTraced } from '../trace-backend';

/**
 * x wᵀ + b with a known matrix in 8 bits: x [N, I], b [O] → [N, O]; forward only. Compiled, it also rounds x to 8 bits, for
 * each block of the matrix's rows, and adds in whole numbers.
 */
export function linearInt8({ x, w, b }: { x: tf.Tensor; w: QuantizedMatrix; b: tf.Tensor }): tf.Tensor {
  if (isTracing()) return runTraced('PavlovLinearInt8', { x, b }, { w })[0];
  const matrix = tf.tensor2d(dequantizeMatrix(w), [w.outputs, w.inputs]);
  return tf.add(tf.matMul(x, matrix, false, true), b);
}
