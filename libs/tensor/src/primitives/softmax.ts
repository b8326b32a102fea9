import { tf } from '../tf';

/** Softmax over the last axis. tfjs's own, whose gradient is already lean; here so that models need no other import. */
export const softmax = (x: tf.Tensor): tf.Tensor => tf.softmax(x, -1);
