import { splitHeldOut } from './split';

const options = { fraction: 0.1, seed: 1, purpose: 'spec' };
const numbers = Array.from({ length: 100 }, (_, index) => index);
const ascending = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);

describe('splitHeldOut', () => {
  it('parts items by the seed, none lost and none on both sides', () => {
    const { training, heldOut } = splitHeldOut(numbers, options);
    expect([training.length, heldOut.length]).toEqual([90, 10]);
    expect(ascending([...training, ...heldOut])).toEqual(numbers);
    expect(splitHeldOut(numbers, options)).toEqual({ training, heldOut });
    expect(splitHeldOut(numbers, { ...options, seed: 2 }).heldOut).not.toEqual(heldOut);
    expect(splitHeldOut(numbers, { ...options, purpose: 'other' }).heldOut).not.toEqual(heldOut);
  });

  it.each([1, 2, 3, 4, 5])('keeps every group on one side and within the share (seed %d)', (seed) => {
    const groupOf = (item: number): string => `user ${Math.floor(Math.sqrt(item))}`; // groups of 1, 3, 5 … 19
    const { training, heldOut } = splitHeldOut(numbers, { ...options, seed, groupOf });
    expect(ascending([...training, ...heldOut])).toEqual(numbers);
    expect(heldOut.length).toBeGreaterThan(0);
    expect(heldOut.length).toBeLessThanOrEqual(10);
    const learned = new Set(training.map(groupOf));
    for (const item of heldOut) expect(learned).not.toContain(groupOf(item));
  });

  it('takes an item without a group for one of its own', () => {
    const groupOf = (item: number): string | undefined => (item < 50 ? 'one' : undefined);
    const { heldOut } = splitHeldOut(numbers, { ...options, groupOf });
    expect(heldOut).toHaveLength(10);
    expect(Math.min(...heldOut)).toBeGreaterThanOrEqual(50);
    // A name that looks like an item's number is no less a name.
    const named = splitHeldOut(numbers, { ...options, groupOf: (item) => (item < 5 ? '7' : undefined) });
    expect(ascending([...named.training, ...named.heldOut])).toEqual(numbers);
  });

  it('holds nothing out where that would leave nothing to learn, or no group is small enough', () => {
    expect(splitHeldOut(['only'], { ...options, fraction: 0.5 })).toEqual({ training: ['only'], heldOut: [] });
    expect(splitHeldOut(numbers, { ...options, fraction: 0 }).heldOut).toEqual([]);
    expect(splitHeldOut(numbers, { ...options, groupOf: (item) => `${item % 2}` }).heldOut).toEqual([]);
    expect(splitHeldOut([], options)).toEqual({ training: [], heldOut: [] });
  });
});
