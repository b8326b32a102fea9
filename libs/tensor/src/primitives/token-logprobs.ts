import { tf } from '../tf';
import { isTracing, runTraced } from '../trace-backend';
import { customGradient } from './custom-gradient';
import { logSoftmax } from './log-softmax';

/**
 * Log-probability of each target: logits [N, V], targets int32 [N] in [0, V) → [N]. Stable for any finite logits.
 */
export function tokenLogprobs(logits: tf.Tensor, targets: tf.Tensor): tf.Tensor {
  return customGradient([logits, targets], ([logits, targets]) => {
    const all = logSoftmax(logits); // [N, V]
    return { value: takeLast(all, targets), saved: [all, targets], gradient: backward };
  });
}

/** x [N, V], indices [N] → x[n, indices[n]] */
function takeLast(x: tf.Tensor, indices: tf.Tensor): tf.Tensor {
  if (isTracing()) return runTraced('PavlovTakeLast', { x, indices })[0];
  return tf.sum(tf.mul(x, tf.oneHot(indices, x.shape[1]!)), -1);
}

/** dlogits = dy · (onehot(target) − softmax) */
function backward(dy: tf.Tensor, [logProbabilities, targets]: tf.Tensor[]): tf.Tensor[] {
  const amounts = tf.neg(dy);
  const spread = tf.mul(tf.exp(logProbabilities), tf.expandDims(amounts, 1)); // [N, V]
  const dLogits = isTracing()
    ? runTraced('PavlovSubtractAt', { x: spread, indices: targets, amounts })[0]
    : tf.sub(spread, tf.mul(tf.oneHot(targets, spread.shape[1]!), tf.expandDims(amounts, 1)));
  return [dLogits, tf.zerosLike(targets)];
}
