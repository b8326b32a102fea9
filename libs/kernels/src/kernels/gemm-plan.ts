/** How a matrix product is cut into blocks, panels, tiles and steps. */
import { type VectorExtension } from '../encoding';
import { mostRows, type Precision, termsOf } from '../tile';
import { type Panel } from './packing';

export interface GemmSpec {
  /** C is [rows, columns]. */
  readonly rows: number;
  readonly columns: number;
  /** Terms of each sum. */
  readonly depth: number;
  /** A is [depth, rows] in memory, instead of [rows, depth]. */
  readonly transposeA?: boolean;
  /** B is [columns, depth] in memory, instead of [depth, columns]. */
  readonly transposeB?: boolean;
  /** Whether b [columns] is added to every row. */
  readonly bias?: boolean;
  /** Whether a matrix like C is added to it, over which C may be written: then C goes on where the sums of that one ended. */
  readonly added?: boolean;
  /** Whether there is a second output, a number that is not written: what depends on it is computed later. */
  readonly signals?: boolean;
  /** Of the factors, not of the sums; by default float32. 'bfloat16' takes AVX512_BF16. */
  readonly precision?: Precision;
  /** Threads that there are: blocks are so many that all have work. Results do not depend on it. */
  readonly threads: number;
}

/** Vectors in a panel of B. */
const panelVectors = 2;
/** Bytes of B laid out at a time: half of a usual second-level cache. */
const packedBytes = 512 * 1024;
const mostDepth = 512;

export interface Plan {
  readonly lanes: number;
  /** Rows of a tile, of a block, and of the last tile where it is smaller (else 0). */
  readonly tileRows: number;
  readonly lastRows: number;
  readonly tiles: number;
  readonly blockTiles: number;
  readonly rowBlocks: number;
  readonly panel: Panel;
  /** The last panel where it is narrower. */
  readonly lastPanel: Panel | undefined;
  readonly panels: number;
  readonly blockPanels: number;
  readonly columnBlocks: number;
  /** Terms of each step along the depth. */
  readonly depths: readonly number[];
}

export function planOf(extension: VectorExtension, { rows, columns, depth, precision, threads }: GemmSpec): Plan {
  const terms = termsOf(precision);
  const lanes = extension === 'avx512' ? 16 : 8;
  const registers = extension === 'avx512' ? 32 : 16;
  const vectors = Math.min(panelVectors, Math.ceil(columns / lanes));
  const most = mostRows({ registers }, vectors);
  const tileRows = Math.ceil(rows / Math.ceil(rows / most));
  const tiles = Math.floor(rows / tileRows);
  const width = vectors * lanes;
  const panels = Math.floor(columns / width);
  const rest = columns % width;
  const lastVectors = Math.ceil(rest / lanes);
  const allPanels = panels + (rest > 0 ? 1 : 0);
  const depths = depthsOf(depth, precision);
  const mostPanels = Math.max(1, Math.floor(packedBytes / (depths[0] * width * (4 / terms))));
  const allTiles = Math.ceil(rows / tileRows);
  // Each block of columns reads A anew, each block of rows B: the cheaper cut is made.
  const fewest = Math.ceil(allPanels / mostPanels);
  const even = threads * Math.ceil(fewest / threads);
  const cutRows = threads * columns + fewest * rows < columns + even * rows;
  const columnBlocks = Math.min(allPanels, cutRows ? fewest : even);
  const blockPanels = Math.ceil(allPanels / columnBlocks);
  const rowBlocks = Math.min(allTiles, cutRows ? threads : Math.ceil(threads / Math.ceil(allPanels / blockPanels)));
  const blockTiles = Math.ceil(allTiles / rowBlocks);
  return {
    lanes,
    tileRows,
    lastRows: rows % tileRows,
    tiles,
    blockTiles,
    rowBlocks: Math.ceil(allTiles / blockTiles),
    panel: { vectors, last: lanes },
    lastPanel: rest > 0 ? { vectors: lastVectors, last: rest - (lastVectors - 1) * lanes } : undefined,
    panels,
    blockPanels,
    columnBlocks: Math.ceil(allPanels / blockPanels),
    depths,
  };
}

/** Terms of each step along a depth. Every number of C is the sum of its steps' sums, one after the other. */
export function depthsOf(depth: number, precision?: Precision): number[] {
  const whole = 16 * termsOf(precision);
  const step = Math.ceil(depth / Math.ceil(depth / mostDepth) / whole) * whole;
  return Array.from({ length: Math.ceil(depth / step) }, (_, nth) => Math.min(step, depth - nth * step));
}

/** One step along the depth. */
export interface Step {
  readonly depth: number;
  /** Whether the sums begin here. */
  readonly first: boolean;
}
