import { tf } from '../tf';
import { isTracing, runTraced } from '../trace-backend';
import { customGradient } from './custom-gradient';

/** Far below every score, and finite, so that no row of the softmax can become NaN. */
const masked = -1e9;

interface Product {
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly alpha?: number;
}

/** alpha · a b, in one operator when compiled. */
function product(
  a: tf.Tensor,
  b: tf.Tensor,
  { transposeA = false, transposeB = false, alpha = 1 }: Product,
): tf.Tensor {
  if (isTracing()) return runTraced('PavlovMatMul', { a, b }, { transposeA, transposeB, alpha })[0];
  const plain = tf.matMul(a, b, transposeA, transposeB);
  return alpha === 1 ? plain : tf.mul(plain, alpha);
}

/** [T, T]: 0 on and below the diagonal. */
function causalMask(length: number): tf.Tensor {
  const mask = new Float32Array(length * length);
  for (let row = 0; row < length; row++) mask.fill(masked, row * length + row + 1, (row + 1) * length);
  return tf.tensor2d(mask, [length, length]);
}

/**
 * Scaled dot-product attention in which each position sees itself and what is before it: q, k, v [B, H, T, D] → [B, H, T, D].
 * Vaswani et al., "Attention Is All You Need", 2017, section 3.2.1.
 */
export function causalAttention({ q, k, v }: { q: tf.Tensor; k: tf.Tensor; v: tf.Tensor }): tf.Tensor {
  const alpha = 1 / Math.sqrt(q.shape.at(-1)!);
  return customGradient([q, k, v], ([q, k, v]) => {
    const scores = product(q, k, { transposeB: true, alpha }); // [B, H, T, T]
    const weights = tf.softmax(tf.add(scores, causalMask(q.shape.at(-2)!)), -1); // [B, H, T, T]
    const y = product(weights, v, {}); // [B, H, T, D]
    return { value: y, saved: [q, k, v, weights, y], gradient: (dy, saved) => backward(dy, saved, alpha) };
  });
}

/** The softmax's row sums Σ_j dp_j p_j equal Σ_d dy_d y_d, which is cheaper (Dao et al., FlashAttention, appendix B.2). */
function backward(dy: tf.Tensor, [q, k, v, weights, y]: tf.Tensor[], alpha: number): tf.Tensor[] {
  const dWeights = product(dy, v, { transposeB: true }); // [B, H, T, T]
  const rowSums = tf.sum(tf.mul(dy, y), -1, true); // [B, H, T, 1]
  const dScores = tf.mul(weights, tf.sub(dWeights, rowSums)); // [B, H, T, T]
  const dq = product(dScores, k, { alpha });
  const dk = product(dScores, q, { transposeA: true, alpha });
  const dv = product(weights, dy, { transposeA: true });
  return [dq, dk, dv];
}
