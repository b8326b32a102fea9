import { tf } from '../tf';

/**
 * Rows of a table: table [V, C], ids int32 [...] in [0, V) → [..., C]. The gradient is deterministic: it sums the rows of
 * equal ids through matrix products, never by parallel addition.
 */
export const embedding = (table: tf.Tensor, ids: tf.Tensor): tf.Tensor => tf.gather(table, ids as tf.Tensor1D);
