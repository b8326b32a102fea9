/**
 * Splits the episodes of a batch into minibatches, in a fresh random order each epoch (docs/stages/ppo.md, detail 13).
 *
 * Microbatches are not drawn here: they are consecutive slices of a minibatch whose gradients are summed, and the losses
 * take the minibatch's denominator so that the slicing changes nothing.
 */
import { type RandomStream } from '@pavlov/random';

/**
 * @param count Episodes in the batch; a multiple of `size`.
 * @param random The stream of this iteration and epoch.
 * @returns Lists of `size` episode indices that together hold each index once.
 */
export function shuffledMinibatches(input: { count: number; size: number; random: RandomStream }): number[][] {
  const { count, size, random } = input;
  if (!Number.isInteger(size) || size < 1 || count % size !== 0) {
    throw new RangeError(`${count} episodes do not divide into minibatches of ${size}`);
  }
  const order = random.shuffle(Array.from({ length: count }, (_, i) => i));
  return Array.from({ length: count / size }, (_, i) => order.slice(i * size, (i + 1) * size));
}
