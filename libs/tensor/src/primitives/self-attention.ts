import { fitsSelfAttention } from '@pavlov/kernels';
import { tf } from '../tf';
import { hasKernels, runTraced } from '../trace-backend';
import { causalAttention } from './causal-attention';
import { customGradient } from './custom-gradient';

export interface SelfAttentionInput {
  /** [B·T, 3C]: of each token q, k and v, each with its H heads of D numbers side by side. */
  readonly qkv: tf.Tensor;
  readonly heads: number;
  /** T. */
  readonly length: number;
}

/** Causal attention of B sequences of T tokens to themselves: → [B·T, C]. What `causalAttention` computes, for packed heads. */
export function selfAttention(input: SelfAttentionInput): tf.Tensor {
  const { qkv, heads, length } = input;
  const size = qkv.shape[1]! / 3 / heads;
  return hasKernels() && fitsSelfAttention({ length, size }) ? fused(input) : composed(input);
}

function fused({ qkv, heads, length }: SelfAttentionInput): tf.Tensor {
  return customGradient([qkv], ([qkv]) => {
    const [y, statistics] = runTraced('PavlovSelfAttention', { qkv }, { heads, length });
    return {
      value: y,
      saved: [qkv, y, statistics],
      gradient: (dy, [qkv, y, statistics]) =>
        runTraced('PavlovSelfAttentionGradient', { qkv, y, statistics, dy }, { heads, length }),
    };
  });
}

function composed({ qkv, heads, length }: SelfAttentionInput): tf.Tensor {
  const [rows, packed] = qkv.shape;
  const [batch, width] = [rows / length, packed / 3];
  const size = width / heads;
  const byHead = tf.transpose(tf.reshape(qkv, [batch, length, 3, heads, size]), [2, 0, 3, 1, 4]); // [3, B, H, T, D]
  const [q, k, v] = tf.split(byHead, 3, 0).map((one) => tf.reshape(one, [batch, heads, length, size])); // [B, H, T, D]
  return tf.reshape(tf.transpose(causalAttention({ q, k, v }), [0, 2, 1, 3]), [rows, width]); // [B·T, C]
}
