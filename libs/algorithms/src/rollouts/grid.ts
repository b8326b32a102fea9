/**
 * How rollouts are laid out: B responses on a grid of T columns, row-major, in flat arrays of B·T numbers.
 *
 * `mask` is 1 where a real token of the response stands and 0 elsewhere (prompt, padding). What stands at a masked
 * position is never read, so garbage there changes nothing.
 */

/** Numbers per token or per row; typed arrays and plain arrays alike. */
export type Numbers = ArrayLike<number>;

/** Number of columns T of a flat [B, T] grid. Throws a RangeError if the rows do not divide it. */
export function columnsOf(length: number, rows: number): number {
  if (!Number.isInteger(rows) || rows < 1 || length % rows !== 0) {
    throw new RangeError(`a grid of ${length} numbers does not divide into ${rows} rows`);
  }
  return length / rows;
}

/** Sums the real tokens of each row: flat [B, T] → B sums. */
export function rowSums({ values, mask, rows }: { values: Numbers; mask: Numbers; rows: number }): Float64Array {
  const columns = columnsOf(values.length, rows);
  const sums = new Float64Array(rows);
  for (let i = 0; i < values.length; i++) if (mask[i] > 0) sums[Math.floor(i / columns)] += values[i];
  return sums;
}
