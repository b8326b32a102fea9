/**
 * The inner loop of every matrix product: a tile of the result stays in registers while the depth goes by.
 * Method: outer products, row by row (Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008).
 */
import { type Assembler } from './assembler';
import { type Gpr, type Label, type Vec } from './encoding';

/** How numbers are multiplied: as they are, or rounded to bfloat16. Sums are float32. */
export type Precision = 'float32' | 'bfloat16';

/** Terms of a sum that are one step along the depth. */
export const termsOf = (precision: Precision | undefined): 1 | 2 => (precision === 'bfloat16' ? 2 : 1);

/** A factor in memory; strides in bytes. */
export interface Factor {
  /** Address of the first element; moves with the depth. */
  readonly base: Gpr;
  /** From one element along the depth to the next. */
  readonly step: number;
}

export interface Tile {
  /** Rows of the result. */
  readonly rows: number;
  /** Vectors in a row of the result. */
  readonly vectors: number;
  /** What factors hold: floats, or pairs along the depth of numbers in bfloat16, which are then one step. By default floats. */
  readonly precision?: Precision;
  /** Its elements are read one by one. */
  readonly left: Factor & { readonly rowStride: number };
  /** Its rows along the depth are read as vectors; of signed bytes, if not of floats. */
  readonly right: Factor & { readonly bytes?: boolean };
  /** Steps of each sum; where it is not known, a register that holds it, at least 1, and is 0 afterwards. */
  readonly depth: number | Gpr;
  readonly depthIn: 'code' | 'register';
  /** Counts, where `depth` is known. */
  readonly counter?: Gpr;
  /** Steps in a round of the loop, where `depth` is known; by default `unrolled`. */
  readonly stepsPerRound?: number;
  /** Bytes ahead at which the right factor is fetched from memory; not at all by default. */
  readonly prefetch?: number;
  /** Of the last vector of a row, the mask of what there is to read; by default all. With AVX2 it is in the last register. */
  readonly mask?: number;
  readonly touch?: Touch;
}

/** What is fetched into the second-level cache meanwhile: so many lines in each round of the loop, from `base` on. */
export interface Touch {
  readonly base: Gpr;
  /** Bytes from one line to the next; with `apart`, from one round to the next. */
  readonly step: number | Gpr;
  readonly stepIn: 'code' | 'register';
  /** At most `unrolled`. */
  readonly lines: number;
  /** Bytes from one line of a round to the next, where all rounds go along so many rows. */
  readonly apart?: number;
}

/** The register of a sum. */
export const sumAt = ({ vectors }: Pick<Tile, 'vectors'>, row: number, vector: number): Vec => row * vectors + vector;

/** Most rows of a tile with so many vectors in a row: sums, a row of the right factor and one element must fit the registers. */
export const mostRows = (code: Pick<Assembler, 'registers'>, vectors: number): number =>
  Math.floor((code.registers - vectors - 1) / vectors);

export function zeroSums(code: Assembler, { rows, vectors }: Pick<Tile, 'rows' | 'vectors'>): void {
  for (let sum = 0; sum < rows * vectors; sum++) code.zero(sum);
}

/** Steps in a round of the loop, mostly. */
export const unrolled = 4;

/** Adds left · right to the sums, in the order of the depth. Both bases end up behind the last element. */
export function emitProduct(code: Assembler, tile: Tile): void {
  const { depth, depthIn, counter, stepsPerRound = unrolled, left, right, touch } = tile;
  const advance = (steps: number): void => {
    code.addImmediate(left.base, steps * left.step);
    code.addImmediate(right.base, steps * right.step);
  };
  const start: Label = {};
  if (depthIn === 'register') {
    code.align(32);
    code.place(start);
    emitStep(code, tile, 0);
    advance(1);
    code.addImmediate(depth, -1);
    code.jumpIf('notEqual', start);
    return;
  }
  const rounds = Math.floor(depth / stepsPerRound);
  if (rounds > 0) {
    if (counter === undefined) throw new TypeError('A loop over a known depth needs a register to count in');
    code.movImmediate(counter, rounds);
    code.align(32);
    code.place(start);
    for (let step = 0; step < stepsPerRound; step++) {
      if (touch && step < touch.lines) emitTouch(code, touch, step);
      emitStep(code, tile, step);
    }
    if (touch?.apart !== undefined) emitTouchStep(code, touch);
    advance(stepsPerRound);
    code.addImmediate(counter, -1);
    code.jumpIf('notEqual', start);
  }
  const rest = depth % stepsPerRound;
  for (let step = 0; step < rest; step++) emitStep(code, tile, step);
  advance(rest);
}

function emitTouch(code: Assembler, touch: Touch, nth: number): void {
  code.prefetch({ base: touch.base, displacement: nth * (touch.apart ?? 0) }, 2);
  if (touch.apart === undefined) emitTouchStep(code, touch);
}

function emitTouchStep(code: Assembler, { base, step, stepIn }: Touch): void {
  if (stepIn === 'code') code.addImmediate(base, step);
  else code.addGpr(base, step);
}

function emitStep(code: Assembler, tile: Tile, step: number): void {
  const { rows, vectors, left, precision } = tile;
  const rightAt = rows * vectors;
  const element = rightAt + vectors;
  const free = code.registers - (tile.mask !== undefined && code.extension === 'avx2' ? 1 : 0); // there the mask is in the last one
  for (let vector = 0; vector < vectors; vector++) emitRight(code, tile, { register: rightAt + vector, step, vector });
  for (let row = 0; row < rows; row++) {
    // Two registers in turn, where there are two.
    const broadcast = element + (element + 1 < free ? row % 2 : 0);
    code.broadcast(broadcast, { base: left.base, displacement: step * left.step + row * left.rowStride });
    for (let vector = 0; vector < vectors; vector++) {
      const sum = sumAt(tile, row, vector);
      if (precision === 'bfloat16') code.dotBfloat16(sum, broadcast, rightAt + vector);
      else code.op('fma231', sum, broadcast, rightAt + vector);
    }
  }
}

/** Bytes that come from memory together. */
export const lineBytes = 64;

/** Reads a vector of the right factor. */
function emitRight(
  code: Assembler,
  { vectors, right, mask, prefetch }: Tile,
  { register, step, vector }: { register: Vec; step: number; vector: number },
): void {
  const place = step * right.step + (right.bytes ? 1 : 4) * code.lanes * vector;
  const source = { base: right.base, displacement: place };
  if (right.bytes) {
    code.loadBytes(register, source);
    code.toFloat(register, register);
  } else if (mask !== undefined && vector === vectors - 1) {
    code.loadMasked(register, source, mask);
  } else {
    code.load(register, source);
  }
  if (prefetch !== undefined && place % lineBytes === 0) code.prefetch({ ...source, displacement: place + prefetch });
}
