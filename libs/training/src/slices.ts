/**
 * Batches computed slice by slice ("microbatches"): fewer rows are in memory at once, and rows of similar length share a
 * slice, on just enough columns. What stands right of a row's last learned token changes nothing before it, so the sum
 * over the slices is that of the batch, up to rounding.
 */
import { accumulate } from '@pavlov/algorithms';
import { allocateParameters, type CompiledFunction, type Parameters } from '@pavlov/tensor';

/** Part of a batch, computed at once on `size` rows of `columns`; missing rows are padding. */
export interface Slice {
  /** Indices into the batch. */
  readonly rows: readonly number[];
  readonly size: number;
  readonly columns: number;
}

/** The grid of a batch, and the most rows to compute at once. */
export interface SlicingOptions {
  readonly size: number;
  readonly columns: number;
}

/**
 * Cuts a batch into slices; rows of length 0 belong to none. A pure function of the lengths.
 *
 * @param lengths Columns that each row needs.
 */
export function sliceByLength(lengths: readonly number[], { size, columns }: SlicingOptions): Slice[] {
  const rows = lengths.flatMap((length, row) => (length > 0 ? [row] : []));
  // The longest first: what memory they take, the others use again.
  if (rows.length > size) rows.sort((a, b) => lengths[b] - lengths[a] || a - b);
  return Array.from({ length: Math.max(1, Math.ceil(rows.length / size)) }, (_, index): Slice => {
    const own = rows.slice(index * size, (index + 1) * size);
    return { rows: own, size, columns: bucketOf(Math.max(1, ...own.map((row) => lengths[row])), columns) };
  });
}

/** Share of what is computed for the slices of a batch that is padding. */
export function paddingOf(slices: readonly Slice[], lengths: readonly number[]): number {
  const needed = lengths.reduce((sum, length) => sum + length, 0);
  return 1 - needed / slices.reduce((sum, { size, columns }) => sum + size * columns, 0);
}

/** Columns up to the last 1 in each row of a flat [B, T] mask. */
export function lengthsOf(mask: Float32Array, columns: number): number[] {
  return Array.from({ length: mask.length / columns }, (_, row) => {
    let length = columns;
    while (length > 0 && mask[row * columns + length - 1] === 0) length--;
    return length;
  });
}

/**
 * Places of the learned tokens of a slice, whose mask [size · columns] is 1 there, filled up with others to one of few numbers: what
 * comes after the last attention need not be computed for more. At most an eighth is filled up, above the fewest.
 */
export function learnedPlaces(mask: Float32Array): Int32Array {
  const places = Array.from(mask.keys());
  const learned = places.filter((place) => mask[place] !== 0);
  const count = bucketOf(Math.max(fewestPlaces, learned.length), mask.length);
  const others = places.filter((place) => mask[place] === 0).slice(0, count - learned.length);
  return Int32Array.from([...learned, ...others]);
}

/** ONNX Runtime's own products of fewer rows would depend on the number of threads. */
const fewestPlaces = 32;

/** A multiple of 8, or above 64 of an eighth of the power of two below: at most an eighth is padding, in few sizes. */
function bucketOf(length: number, most: number): number {
  const unit = Math.max(8, 2 ** Math.floor(Math.log2(length)) / 8);
  return Math.min(most, Math.ceil(length / unit) * unit);
}

/** A slice of a flat [B, T] array on T = `columns`; where the slice has no row, and the array no column, stands `fill`. */
export function takeSlice<A extends Float32Array | Int32Array>(
  values: A,
  slice: Slice,
  { columns, fill }: { columns: number; fill: number },
): A {
  const length = slice.size * slice.columns;
  const taken = values instanceof Int32Array ? new Int32Array(length) : new Float32Array(length);
  if (fill !== 0) taken.fill(fill);
  slice.rows.forEach((row, index) =>
    taken.set(values.subarray(row * columns, row * columns + slice.columns), index * slice.columns),
  );
  return taken as A;
}

/** One graph for each shape, such as a number of columns, compiled when it is first asked for. */
export function graphsByShape<Shape extends readonly number[]>(
  compile: (...shape: Shape) => Promise<CompiledFunction>,
): (...shape: Shape) => Promise<CompiledFunction> {
  const graphs = new Map<string, Promise<CompiledFunction>>();
  return (...shape) => {
    const key = shape.join();
    const graph = graphs.get(key) ?? compile(...shape);
    graphs.set(key, graph);
    return graph;
  };
}

/** Adds the gradients of slices up. */
export interface GradientSum {
  /** Has `compute` fill a buffer for each slice, one after the other; `total` holds the sum. */
  over<S extends Slice>(
    slices: readonly S[],
    total: Parameters,
    compute: (slice: S, gradients: Parameters) => Promise<void>,
  ): Promise<void>;
}

/** The first slice writes to the total itself; only where there are more is a second buffer allocated. */
export function createGradientSum(): GradientSum {
  let next: Parameters | undefined;
  return {
    over: async (slices, total, compute) => {
      for (const [index, slice] of slices.entries()) {
        if (index === 0) {
          await compute(slice, total);
          continue;
        }
        next ??= allocateParameters(total.layout);
        await compute(slice, next);
        accumulate({ total: total.data, gradients: next.data });
      }
    },
  };
}
