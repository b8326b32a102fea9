import { randomStream } from '@pavlov/random';

/** Which examples to take: passes (epochs) over `count` examples, each pass in a new order. */
export interface ExampleOrder {
  readonly seed: number;
  /** Keeps the orders of different uses apart, e.g. `sft/order`. */
  readonly purpose: string;
  readonly count: number;
}

/** The order of one epoch: a permutation of 0 … count − 1, a pure function of its arguments. */
export function exampleOrder({ seed, purpose, count, epoch }: ExampleOrder & { readonly epoch: number }): number[] {
  return randomStream(seed, purpose, [epoch]).shuffle(Array.from({ length: count }, (_, index) => index));
}

/**
 * The batch of each step: `size` indices that follow on from the step before, across epochs where need be. A pure
 * function of (seed, step), so a resumed run goes on with the very batch that comes next.
 *
 * Asking for a batch throws RangeError if there are no examples.
 */
export function batchOrder(order: ExampleOrder): (step: number, size: number) => number[] {
  let current = { epoch: -1, indices: [] as number[] };
  const at = (position: number): number => {
    if (order.count < 1) throw new RangeError(`${order.purpose}: there are no examples to take a batch from`);
    const epoch = Math.floor(position / order.count);
    // Kept to save time only: an epoch's order does not depend on what was asked before.
    if (current.epoch !== epoch) current = { epoch, indices: exampleOrder({ ...order, epoch }) };
    return current.indices[position % order.count];
  };
  return (step, size) => Array.from({ length: size }, (_, i) => at(step * size + i));
}
