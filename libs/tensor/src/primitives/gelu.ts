import { tf } from '../tf';
import { hasKernels, isTracing, runTraced } from '../trace-backend';
import { customGradient } from './custom-gradient';

const scale = Math.sqrt(2 / Math.PI);
const cubic = 0.044715;

/**
 * The Gaussian error linear unit in its tanh form, as GPT-2 has it: 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))).
 * Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.
 */
export function gelu(x: tf.Tensor): tf.Tensor {
  return customGradient([x], ([x]) => {
    const y = isTracing() ? runTraced('PavlovGelu', { x })[0] : tf.mul(x, gate(x, tf.square(x)));
    return { value: y, saved: [x, y], gradient: backward };
  });
}

/** The factor that x is multiplied by: 0.5 (1 + tanh u) = σ(2u). */
const gate = (x: tf.Tensor, square: tf.Tensor): tf.Tensor =>
  tf.sigmoid(tf.mul(x, tf.add(tf.mul(square, 2 * scale * cubic), 2 * scale)));

/** With y = x σ(2u):  dy/dx = σ + y (1 − σ) · 2 du/dx. */
function backward(dy: tf.Tensor, [x, y]: tf.Tensor[]): tf.Tensor[] {
  if (hasKernels()) return runTraced('PavlovGeluGradient', { x, dy });
  const square = tf.mul(x, x);
  const open = gate(x, square);
  const slope = tf.add(tf.mul(square, 6 * scale * cubic), 2 * scale);
  return [tf.mul(dy, tf.add(open, tf.mul(tf.mul(y, tf.sub(1, open)), slope)))];
}
