import { tf } from '../tf';
import { hasKernels, isTracing, runTraced } from '../trace-backend';
import { customGradient } from './custom-gradient';
import { logSoftmax } from './log-softmax';
import { kernelOptions, type LogitsOptions, scaledLogits } from './logits';

/**
 * Log-probability of each target: logits [N, V], targets int32 [N] in [0, V) → [N]. Stable for any finite logits. Kernels give NaN
 * for a target out of range.
 */
export function tokenLogprobs(logits: tf.Tensor, targets: tf.Tensor, options: LogitsOptions = {}): tf.Tensor {
  return hasKernels() ? fused(logits, targets, options) : composed(scaledLogits(logits, options), targets);
}

function fused(logits: tf.Tensor, targets: tf.Tensor, options: LogitsOptions): tf.Tensor {
  const { temperature, attributes } = kernelOptions(options);
  return customGradient([logits, targets], ([logits, targets]) => {
    const [value, statistics] = runTraced('PavlovTokenLogprobs', { logits, targets, temperature }, attributes);
    return {
      value,
      saved: [logits, targets, statistics],
      gradient: (dy, [logits, targets, statistics]) => [
        ...runTraced('PavlovTokenLogprobsGradient', { logits, targets, temperature, statistics, dy }, attributes),
        tf.zerosLike(targets),
      ],
    };
  });
}

function composed(logits: tf.Tensor, targets: tf.Tensor): tf.Tensor {
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
