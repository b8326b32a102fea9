import { tf } from '../tf';
import { isTracing, runTraced } from '../trace-backend';
import { customGradient } from './custom-gradient';

/** x w + b in one operator when compiled: x [N, I], w [I, O], b [O] → [N, O]. */
export function linear({ x, w, b }: { x: tf.Tensor; w: tf.Tensor; b: tf.Tensor }): tf.Tensor {
  return customGradient([x, w, b], ([x, w, b]) => ({
    value: isTracing() ? runTraced('PavlovLinear', { x, w, b })[0] : tf.add(tf.matMul(x, w), b),
    saved: [x, w],
    gradient: backward,
  }));
}

function backward(dy: tf.Tensor, [x, w]: tf.Tensor[]): tf.Tensor[] {
  return [tf.matMul(dy, w, false, true), tf.matMul(x, dy, true, false), tf.sum(dy, 0)];
}
