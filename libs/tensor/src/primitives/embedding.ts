import { tf } from '../tf';

/**
 * Rows of a table: table [V, C], ids int32 [...] in [0, V) → [..., C]. The gradient is deterministic: the rows of
 * equal ids are added one after the other.
 */
export const embedding = (table: tf.Tensor, ids: tf.Tensor): tf.Tensor => tf.gather(table, ids as tf.Tensor1D);
