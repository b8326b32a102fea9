import { tf } from './tf';
import type { Parameters } from './parameters';

export interface LossResult {
  readonly loss: tf.Scalar;
  readonly metrics?: Record<string, tf.Tensor>;
}

export interface GradientResult {
  readonly loss: tf.Scalar;
  readonly metrics: Record<string, tf.Tensor>;
  readonly gradients: Record<string, tf.Tensor>;
}

/**
 * The loss, its metrics, and d loss / d p for every tensor p of `params`. Metrics carry no gradient.
 * Throws if the loss does not depend on one of the parameters.
 */
export function gradientsOf(
  loss: (params: Record<string, tf.Tensor>) => LossResult,
  params: Record<string, tf.Tensor>,
): GradientResult {
  const names = Object.keys(params);
  const kept: [string, tf.Tensor][] = [];
  const forward = () => {
    const result = loss(params);
    // The tape's scope ends before the metrics can be returned; `keep` carries them over.
    for (const [name, metric] of Object.entries(result.metrics ?? {})) kept.push([name, tf.keep(metric.clone())]);
    return result.loss;
  };
  const allowMissing = true;
  const { value, grads } = tf.engine().gradients(
    forward,
    names.map((name) => params[name]),
    undefined,
    allowMissing,
  );
  const missing = names.filter((_, i) => !grads[i]);
  if (missing.length > 0)
    throw new Error(`The loss does not depend on ${missing.join(', ')}; leave them out of the parameters`);
  const metrics = kept.map(([name, metric]) => {
    const tracked = metric.clone();
    metric.dispose();
    return [name, tracked] as const;
  });
  return {
    loss: value,
    metrics: Object.fromEntries(metrics),
    gradients: Object.fromEntries(names.map((name, i) => [name, grads[i]])),
  };
}

const gradientName = (parameter: string): string => `grad:${parameter}`;

/** Gradients as outputs of a compiled function, named `grad:<parameter>`. */
export function gradientOutputs(gradients: Record<string, tf.Tensor>): Record<string, tf.Tensor> {
  return Object.fromEntries(Object.entries(gradients).map(([name, gradient]) => [gradientName(name), gradient]));
}

/** The `into` of a run that writes the outputs of `gradientOutputs` to the flat buffer of `gradients`. */
export function gradientBuffers(gradients: Parameters): Record<string, Float32Array> {
  return Object.fromEntries(Object.entries(gradients.views).map(([name, view]) => [gradientName(name), view]));
}
