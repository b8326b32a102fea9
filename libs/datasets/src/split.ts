import { randomStream } from '@pavlov/random';

/** What is trained on, and what is only measured. */
export interface HeldOutSplit<T> {
  readonly training: T[];
  readonly heldOut: T[];
}

/**
 * Holds out as much of `fraction` of the items as whole groups make up, drawn by the seed; at least one item stays in.
 * Items of one group never stand on both sides, so that nothing is measured on what it has learned by another item; a
 * group too large for the share is not held out. InstructGPT splits by user (§3.2).
 *
 * @param groupOf The group of an item; an item without one is a group of its own, as all are by default.
 */
export function splitHeldOut<T>(
  items: readonly T[],
  options: {
    fraction: number;
    seed: number;
    purpose: string;
    groupOf?: (item: T) => string | undefined;
  },
): HeldOutSplit<T> {
  const { fraction, seed, purpose, groupOf } = options;
  const groups = new Map<string | number, T[]>();
  items.forEach((item, index) => {
    const key = groupOf?.(item) ?? index;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  });
  const wanted = Math.min(Math.round(items.length * fraction), items.length - 1);
  const [training, heldOut]: [T[][], T[][]] = [[], []];
  let held = 0;
  for (const group of randomStream(seed, purpose).shuffle([...groups.values()])) {
    const fits = held + group.length <= wanted;
    (fits ? heldOut : training).push(group);
    if (fits) held += group.length;
  }
  return { training: training.flat(), heldOut: heldOut.flat() };
}
