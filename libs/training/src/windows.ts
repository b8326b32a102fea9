/**
 * States that matter: of each row of a slice, the answer's, so many side by side for every row. What comes after the last attention
 * of a network is computed for them alone.
 */
import { type Slice } from './slices';

export interface Window {
  /** Columns of each row. */
  readonly width: number;
  /** Each row's first one. */
  readonly starts: readonly number[];
}

/**
 * The window of a slice: all columns whose mask is 1.
 *
 * @param mask Flat [B, T] on T = `columns`.
 * @param most Columns of a row whose mask is 1, at most, the gaps between them included.
 * @throws RangeError where a row has more
 */
export function windowOf(
  mask: Float32Array,
  slice: Slice,
  { columns, most }: { columns: number; most: number },
): Window {
  const width = Math.min(slice.columns, most);
  const starts = slice.rows.map((row) => {
    const own = mask.subarray(row * columns, row * columns + slice.columns);
    const start = Math.max(0, Math.min(own.indexOf(1), slice.columns - width));
    if (own.lastIndexOf(1) >= start + width)
      throw new RangeError(`Row ${row} has states up to column ${own.lastIndexOf(1)}, not ${width} from ${start} on`);
    return start;
  });
  return { width, starts };
}

/** Where the states stand in the slice, [size · width]; rows that are missing have their first ones. */
export function statesOf({ size, columns }: Slice, { width, starts }: Window): Int32Array {
  return Int32Array.from({ length: size * width }, (_, i) => {
    const row = Math.floor(i / width);
    return row * columns + (starts[row] ?? 0) + (i % width);
  });
}

/** The states of a flat [B, T] array, [size · width]; where the slice has no row stands `fill`. */
export function takeStates<A extends Float32Array | Int32Array>(
  values: A,
  { rows, size }: Slice,
  { width, starts, columns, fill }: Window & { columns: number; fill: number },
): A {
  const taken = values instanceof Int32Array ? new Int32Array(size * width) : new Float32Array(size * width);
  if (fill !== 0) taken.fill(fill);
  rows.forEach((row, index) => {
    const first = row * columns + starts[index];
    taken.set(values.subarray(first, first + width), index * width);
  });
  return taken as A;
}

/** Writes what was computed for the states of a slice to its place in a flat [B, T] array. */
export function putStates(
  target: Float32Array,
  { rows }: Slice,
  { width, starts, columns, values }: Window & { columns: number; values: ArrayLike<number> },
): void {
  rows.forEach((row, index) => {
    for (let nth = 0; nth < width; nth++) target[row * columns + starts[index] + nth] = values[index * width + nth];
  });
}
