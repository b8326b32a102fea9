import { tf } from '../tf';
import { hasKernels, runTraced } from '../trace-backend';
import { customGradient } from './custom-gradient';
import { logSoftmax } from './log-softmax';
import { kernelOptions, type LogitsOptions, scaledLogits } from './logits';

/** Entropy in nats of each row's softmax: logits [N, V] → [N]. */
export function entropy(logits: tf.Tensor, options: LogitsOptions = {}): tf.Tensor {
  return hasKernels() ? fused(logits, options) : composed(scaledLogits(logits, options));
}

function fused(logits: tf.Tensor, options: LogitsOptions): tf.Tensor {
  const { temperature, attributes } = kernelOptions(options);
  return customGradient([logits], ([logits]) => {
    const [value, statistics] = runTraced('PavlovEntropy', { logits, temperature }, attributes);
    return {
      value,
      saved: [logits, value, statistics],
      gradient: (dy, [logits, value, statistics]) =>
        runTraced('PavlovEntropyGradient', { logits, temperature, value, statistics, dy }, attributes),
    };
  });
}

function composed(logits: tf.Tensor): tf.Tensor {
  return customGradient([logits], ([logits]) => {
    const all = logSoftmax(logits); // [N, V]
    const value = tf.neg(tf.sum(tf.mul(tf.exp(all), all), -1)); // [N]
    return { value, saved: [all, value], gradient: backward };
  });
}

/** dH/dx_j = −p_j (log p_j + H) */
function backward(dy: tf.Tensor, [all, value]: tf.Tensor[]): tf.Tensor[] {
  const weighted = tf.mul(tf.exp(all), tf.expandDims(tf.neg(dy), 1)); // [N, V]
  return [tf.mul(weighted, tf.add(all, tf.expandDims(value, 1)))];
}
