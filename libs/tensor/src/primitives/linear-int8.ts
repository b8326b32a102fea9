import { int8Panels } from '../int8-panels';
import { dequantizeMatrix, type QuantizedMatrix } from '../quantize';
import { tf } from '../tf';
import { isTracing, kernelExtension, runTraced } from '../trace-backend';
import { gelu } from './gelu';

/** A matrix in 8 bits that is fed: `panels` is what `int8Panels` made of it. Only where there are kernels of our own. */
export interface FedInt8Matrix extends Pick<QuantizedMatrix, 'outputs' | 'inputs' | 'block'> {
  readonly panels: tf.Tensor;
}

export interface LinearInt8Input {
  /** [N, I] */
  readonly x: tf.Tensor;
  /** [O, I]; a known one becomes part of what is compiled. */
  readonly w: QuantizedMatrix | FedInt8Matrix;
  /** [O] */
  readonly b: tf.Tensor;
  /** Of x wᵀ + b. */
  readonly activation?: 'gelu';
  /** Added in the end, [N, O]. */
  readonly residual?: tf.Tensor;
}

/**
 * act(x wᵀ + b) + residual → [N, O] with a matrix in 8 bits; forward only. Kernels of our own compute with what the matrix stands
 * for. ONNX Runtime also rounds x to 8 bits, for each block of the matrix's rows, and adds in whole numbers.
 */
export function linearInt8({ x, w, b, activation, residual }: LinearInt8Input): tf.Tensor {
  const extension = kernelExtension();
  if (extension) {
    const { outputs, block } = w;
    const panels = 'panels' in w ? w.panels : tf.tensor1d(int8Panels(w, extension), 'int32');
    const inputs = { x, panels, b, ...(residual && { residual }) };
    return runTraced('PavlovLinearPanels', inputs, { outputs, block, activation })[0];
  }
  if ('panels' in w)
    throw new Error('There are no kernels of our own on this machine, so nothing reads panels in 8 bits');
  const mapped = isTracing() ? runTraced('PavlovLinearInt8', { x, b }, { w })[0] : composed({ x, w, b });
  const activated = activation === 'gelu' ? gelu(mapped) : mapped;
  return residual ? tf.add(activated, residual) : activated;
}

function composed({ x, w, b }: { x: tf.Tensor; w: QuantizedMatrix; b: tf.Tensor }): tf.Tensor {
  const matrix = tf.tensor2d(dequantizeMatrix(w), [w.outputs, w.inputs]);
  return tf.add(tf.matMul(x, matrix, false, true), b);
}
