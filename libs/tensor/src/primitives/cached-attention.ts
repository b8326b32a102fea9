import type { Precision } from '../precision';
import type { TensorSpec } from '../signature';
import { tf } from '../tf';
import { hasKernels, isTracing, runTraced } from '../trace-backend';
import { selfAttention } from './self-attention';

export interface CacheShape {
  /** B */
  readonly rows: number;
  /** H */
  readonly heads: number;
  /** D, a multiple of 8. */
  readonly size: number;
  /** L, the longest sequence that the cache can hold, a multiple of 16. */
  readonly length: number;
}

/** What a cache of keys, or values, is in the engine's precision: [B, H, L, D], or in bfloat16 [B, H, L, D/2] words of two numbers. */
export const cacheSpec = (
  { precision }: { readonly precision: Precision },
  { rows, heads, length, size }: CacheShape,
): TensorSpec =>
  precision === 'bfloat16'
    ? { shape: [rows, heads, length, size / 2], dtype: 'int32' }
    : { shape: [rows, heads, length, size], dtype: 'float32' };

export interface CachedAttentionInput {
  /** Queries, keys and values of the new positions side by side, [B, T, 3·H·D]. */
  readonly qkv: tf.Tensor;
  /** Keys and values so far, of a `cacheSpec`. How they lie in there is the business of the backend. */
  readonly pastK: tf.Tensor;
  readonly pastV: tf.Tensor;
  /** Valid positions of each row after this call, int32 [B]. */
  readonly lengths: tf.Tensor;
  /** Largest position count after this call, int32 [1]: T for a prompt, else the largest of `lengths`. */
  readonly total: tf.Tensor;
}

export interface CachedAttentionOutput {
  /** [B, T, H·D] */
  readonly y: tf.Tensor;
  /** The cache with the new positions; compile it `inPlace` of `pastK` and `pastV`. */
  readonly presentK: tf.Tensor;
  readonly presentV: tf.Tensor;
}

/**
 * Causal attention of new positions to a cache of earlier ones; forward only. Either a prompt, T = `total`, right-padded and
 * with rows of different `lengths` (results at padding are meaningless, and what they leave in the cache is overwritten before
 * it is read), or one new position in every row, the last of its `lengths`. D must be a multiple of 8 (ONNX Runtime's rule).
 */
export function cachedAttention(input: CachedAttentionInput): CachedAttentionOutput {
  const size = headSizeOf(input);
  if (size % 8 !== 0) throw new RangeError(`cachedAttention needs heads of a multiple of 8 in width, not ${size}`);
  if (input.pastK.shape[2]! % 16 !== 0)
    throw new RangeError('cachedAttention needs a cache of a multiple of 16 positions');
  if (!isTracing()) return composed(input);
  if (hasKernels()) return withKernels(input);
  const [y, presentK, presentV] = runTraced('PavlovCachedAttention', { ...input });
  return { y, presentK, presentV };
}

/** D */
const headSizeOf = ({ qkv, pastK }: Pick<CachedAttentionInput, 'qkv' | 'pastK'>): number =>
  qkv.shape[2]! / (3 * pastK.shape[1]!);

function withKernels({ qkv, pastK, pastV, lengths }: CachedAttentionInput): CachedAttentionOutput {
  const [rows, heads] = pastK.shape;
  const size = headSizeOf({ qkv, pastK });
  const [, time, wide] = qkv.shape as [number, number, number];
  const flat = tf.reshape(qkv, [rows * time, wide]);
  if (time === 1) {
    const [y, presentK, presentV] = runTraced('PavlovStepAttention', { qkv: flat, pastK, pastV, lengths });
    return { y: tf.reshape(y, [rows, 1, heads * size]), presentK, presentV };
  }
  const [presentK, presentV] = runTraced('PavlovFillCache', { qkv: flat, pastK, pastV }, { time });
  const y = selfAttention({ qkv: flat, heads, length: time });
  return { y: tf.reshape(y, [rows, time, heads * size]), presentK, presentV };
}

const masked = -1e9;

function composed({ qkv, pastK, pastV, lengths }: CachedAttentionInput): CachedAttentionOutput {
  const [batch, heads, longest, size] = pastK.shape;
  const length = qkv.shape[1]!;
  const [q, k, v] = tf
    .split(qkv, 3, -1)
    .map((x) => tf.transpose(tf.reshape(x, [batch, length, heads, size]), [0, 2, 1, 3])); // [B, H, T, D]

  // Row b writes its T positions from start_b on; placed[b, l, t] is 1 where cache position l takes new position t.
  const starts = tf.reshape(tf.maximum(tf.sub(lengths, tf.scalar(length, 'int32')), tf.scalar(0, 'int32')), [
    batch,
    1,
    1,
  ]);
  const positions = tf.reshape(tf.range(0, longest, 1, 'int32'), [1, longest, 1]);
  const steps = tf.reshape(tf.range(0, length, 1, 'int32'), [1, 1, length]);
  const placed = tf.expandDims(tf.cast(tf.equal(positions, tf.add(starts, steps)), 'float32'), 1); // [B, 1, L, T]
  const kept = tf.sub(1, tf.sum(placed, -1, true)); // [B, 1, L, 1]
  const append = (past: tf.Tensor, fresh: tf.Tensor): tf.Tensor =>
    tf.add(tf.mul(past, kept), tf.matMul(tf.tile(placed, [1, heads, 1, 1]), fresh));

  const [presentK, presentV] = [append(pastK, k), append(pastV, v)];
  const visible = tf.lessEqual(
    tf.reshape(positions, [1, 1, longest]),
    tf.reshape(tf.add(starts, steps), [batch, length, 1]),
  );
  const scores = tf.mul(tf.matMul(q, presentK, false, true), 1 / Math.sqrt(size)); // [B, H, T, L]
  const hidden = tf.mul(tf.sub(1, tf.cast(tf.expandDims(visible, 1), 'float32')), masked);
  const y = tf.matMul(tf.softmax(tf.add(scores, hidden), -1), presentV); // [B, H, T, D]
  return { y: tf.reshape(tf.transpose(y, [0, 2, 1, 3]), [batch, length, heads * size]), presentK, presentV };
}
