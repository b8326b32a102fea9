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
  const spread = tf.mul(tf.exp(logProbabilities), tf.expandDims(tf.neg(dy), 1)); // [N, V]
  return [addAt(spread, targets, dy), tf.zerosLike(targets)];
}

/** x [N, V], indices [N], amounts [N] → x with amounts[n] added to x[n, indices[n]] */
function addAt(x: tf.Tensor, indices: tf.Tensor, amounts: tf.Tensor): tf.Tensor {
  if (isTracing()) return runTraced('PavlovAddAt', { x, indices, amounts })[0];
  return tf.add(x, tf.mul(tf.oneHot(indices, x.shape[1]!), tf.expandDims(amounts, 1)));
}
