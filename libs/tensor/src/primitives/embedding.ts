import { tf } from '../tf';
import { isTracing } from '../trace-backend';
import { customGradient } from './custom-gradient';

/**
 * Rows of a table: table [V, C], ids int32 [...] in [0, V) → [..., C]. The gradient is deterministic: the rows of
 * equal ids are added one after the other.
 */
export function embedding(table: tf.Tensor, ids: tf.Tensor): tf.Tensor {
  return customGradient([table, ids], ([table, ids]) => ({
    value: tf.gather(table, ids as tf.Tensor1D),
    saved: [table, ids],
    gradient: backward,
  }));
}

function backward(dy: tf.Tensor, [table, ids]: tf.Tensor[]): tf.Tensor[] {
  const [rows, width] = table.shape as [number, number];
  const flatIds = tf.reshape(ids, [ids.size]) as tf.Tensor1D;
  const flat = tf.reshape(dy, [ids.size, width]) as tf.Tensor2D;
  const dTable = isTracing() ? tf.unsortedSegmentSum(flat, flatIds, rows) : composed(flat, flatIds, rows);
  return [dTable, tf.zerosLike(ids)];
}

/** The WebAssembly backend cannot add by segment, and its one-hot rows are integers whatever it is asked for. */
const composed = (rows: tf.Tensor2D, ids: tf.Tensor1D, count: number): tf.Tensor2D =>
  tf.matMul(tf.cast(tf.oneHot(ids, count), 'float32') as tf.Tensor2D, rows, true);
