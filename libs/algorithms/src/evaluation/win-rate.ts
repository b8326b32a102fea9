/**
 * Win rate of one policy over another.
 *
 * Method: (wins + ties / 2) / comparisons, with Wilson's 95 % interval (Wilson 1927), which stays inside [0, 1] and does
 * not collapse when every comparison is won.
 * Leaves out: corrections for several comparisons on one prompt; draw one per prompt.
 */

/** 97.5 % point of the normal distribution. */
const Z = 1.959963984540054;

export interface WinRate {
  readonly rate: number;
  /** Ends of the 95 % interval. */
  readonly low: number;
  readonly high: number;
  readonly comparisons: number;
}

/** @throws RangeError if there is no comparison. */
export function winRate({ wins, losses, ties }: { wins: number; losses: number; ties: number }): WinRate {
  const n = wins + losses + ties;
  if (n === 0) throw new RangeError('winRate: there is no comparison');
  const rate = (wins + ties / 2) / n;
  const shrink = 1 + Z ** 2 / n;
  const centre = (rate + Z ** 2 / (2 * n)) / shrink;
  const half = (Z / shrink) * Math.sqrt((rate * (1 - rate)) / n + Z ** 2 / (4 * n ** 2));
  // At a rate of 0 or 1 the end is exactly there, up to rounding.
  return { rate, low: Math.max(centre - half, 0), high: Math.min(centre + half, 1), comparisons: n };
}
