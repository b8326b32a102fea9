import { tf } from '../tf';
import { hasKernels, isTracing, runTraced } from '../trace-backend';
import { customGradient } from './custom-gradient';

interface Normalised {
  readonly y: tf.Tensor;
  /** [..., 1] */
  readonly mean: tf.Tensor;
  /** 1 / √(variance + ε), [..., 1] */
  readonly inverseDeviation: tf.Tensor;
}

interface Input {
  readonly x: tf.Tensor;
  readonly gamma: tf.Tensor;
  readonly beta: tf.Tensor;
}

function traced({ x, gamma, beta }: Input, epsilon: number): Normalised {
  const [y, mean, inverseDeviation] = runTraced('PavlovLayerNorm', { x, gamma, beta }, { epsilon });
  return { y, mean, inverseDeviation };
}

function composed({ x, gamma, beta }: Input, epsilon: number): Normalised {
  const mean = tf.mean(x, -1, true);
  const centred = tf.sub(x, mean);
  const inverseDeviation = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon));
  return { y: tf.add(tf.mul(tf.mul(centred, inverseDeviation), gamma), beta), mean, inverseDeviation };
}

/**
 * Layer normalisation over the last axis, with the biased variance: x [..., C], gamma [C], beta [C] → [..., C].
 * Ba, Kiros, Hinton, "Layer Normalization", 2016.
 */
// eslint-disable-next-line max-params -- the order that every framework uses
export function layerNorm(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon = 1e-5): tf.Tensor {
  return customGradient([x, gamma, beta], ([x, gamma, beta]) => {
    const normalise = isTracing() ? traced : composed;
    const { y, mean, inverseDeviation } = normalise({ x, gamma, beta }, epsilon);
    return { value: y, saved: [x, gamma, mean, inverseDeviation], gradient: backward };
  });
}

/** With x̂ the normalised input and g = dy · gamma:  dx = (g − mean(g) − x̂ · mean(g · x̂)) / deviation. */
function backward(dy: tf.Tensor, [x, gamma, mean, inverseDeviation]: tf.Tensor[]): tf.Tensor[] {
  if (hasKernels()) return runTraced('PavlovLayerNormGradient', { x, dy, gamma, mean, inverseDeviation });
  const rows = Array.from({ length: dy.rank - 1 }, (_, axis) => axis);
  const normal = tf.mul(tf.sub(x, mean), inverseDeviation);
  const g = tf.mul(dy, gamma);
  const alongNormal = tf.mul(normal, tf.mean(tf.mul(g, normal), -1, true));
  const dx = tf.mul(tf.sub(tf.sub(g, tf.mean(g, -1, true)), alongNormal), inverseDeviation);
  return [dx, tf.sum(tf.mul(dy, normal), rows), tf.sum(dy, rows)];
}
