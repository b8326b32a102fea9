import { tf } from '../tf';
import { isTracing, runTraced } from '../trace-backend';

/** Log-softmax over the last axis, without a gradient of its own: tfjs composes it of five kernels, ONNX has it in one. */
export const logSoftmax = (x: tf.Tensor): tf.Tensor =>
  isTracing() ? runTraced('PavlovLogSoftmax', { x })[0] : tf.logSoftmax(x, -1);
