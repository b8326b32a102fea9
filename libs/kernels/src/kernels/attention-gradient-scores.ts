/** The part of self-attention's gradient that computes p and ds of a tile of queries. */
import { type Assembler } from '../assembler';
import { type Gpr, type Memory, r11, r8, r9, rax, rcx, rdi, rdx, rsi } from '../encoding';
import { emitPowerOfTwo } from '../mathematics';
import { emitProduct, sumAt, type Tile, zeroSums } from '../tile';
import { type GradientContext, scratch } from './attention-gradient-context';
import { columnsRow, loadPowerConstants, powerRegisters, stepsPerRound } from './attention-geometry';
import { PairingRows } from './packing-pairs';

/** Addresses that belong to the first query of a tile: its q, dy, statistics, rows of p and ds, and Σ dy y. */
export const [queryAt, dyAt, statisticsAt, weightsRow, rowSumAt]: Gpr[] = [r8, r9, r11, rax, rdx];

/** Registers behind those of a tile's sums: numbers of a query, and those of `emitPowerOfTwo` and further ones, which stay. */
const registersOf = ({ rows }: GradientContext) => ({
  largest: 2 * rows,
  inverse: 2 * rows + 1,
  a: 2 * rows + 2,
  b: 2 * rows + 3,
  constants: 2 * rows + 4,
  /** From here on only with AVX-512. */
  toPower: 28,
  scale: 29,
  indices: 30,
});

/** Loads what stays in registers from tile to tile, and gives what pairs rows, where there are pairs. */
export function loadScoreConstants(code: Assembler, context: GradientContext): PairingRows | undefined {
  const { constants, toPower, scale, indices } = registersOf(context);
  loadPowerConstants(code, constants);
  if (context.terms === 1) return undefined;
  code.load(toPower, code.number(Math.LOG2E / Math.sqrt(context.size)));
  code.load(scale, code.number(1 / Math.sqrt(context.size)));
  return new PairingRows(code, indices);
}

export interface ScoresTile {
  readonly rows: number;
  /** Of keys. */
  readonly vectors: number;
  /** Keys in the block. */
  readonly count: number;
  /** On the diagonal, the number of the first query in the block: of keys behind a query p and ds are 0, or left out. */
  readonly diagonal?: number;
  /** Of `loadScoreConstants`. */
  readonly pairing: PairingRows | undefined;
}

interface PairedTile extends ScoresTile {
  readonly pairing: PairingRows;
}

/** p and ds of a tile of queries. */
export function emitDScores(code: Assembler, context: GradientContext, scores: ScoresTile): void {
  const { size, terms, precision, queries, dys, keysAt, valuesAt } = context;
  const { rows, vectors, count, pairing } = scores;
  const product = (source: Gpr, rowStride: number, columnsAt: number): void => {
    const right = { base: rdi, step: columnsRow(context, count) };
    const tile: Tile = { rows, vectors, precision, left: { base: rsi, step: 4, rowStride }, right, depth: Math.ceil(size / terms), depthIn: 'code', counter: rcx, stepsPerRound }; // prettier-ignore
    code.lea(rsi, { base: source });
    code.lea(rdi, { base: scratch, displacement: columnsAt });
    zeroSums(code, tile);
    emitProduct(code, tile);
  };
  product(queryAt, queries.row, keysAt);
  if (pairing) emitPairedWeights(code, context, { ...scores, pairing });
  else emitWeights(code, context, scores);
  product(dyAt, dys.row, valuesAt);
  if (pairing) emitPairedDScores(code, context, { ...scores, pairing });
  else emitFloatDScores(code, context, scores);
}

const weightPlace = ({ blockRow, lanes }: GradientContext, row: number, vector: number): Memory => ({
  base: weightsRow,
  displacement: row * blockRow + 4 * lanes * vector,
});

function emitWeights(code: Assembler, context: GradientContext, tile: ScoresTile): void {
  const { largest, inverse, a, b, constants } = registersOf(context);
  const registers = powerRegisters(code, { a, b, first: constants });
  for (let row = 0; row < tile.rows; row++) {
    code.broadcast(largest, { base: statisticsAt, displacement: 4 * row });
    code.broadcast(inverse, { base: statisticsAt, displacement: 4 * (context.length + row) });
    for (let vector = 0; vector < tile.vectors; vector++) {
      const x = sumAt(tile, row, vector);
      code.op('sub', x, x, largest);
      emitPowerOfTwo(code, x, registers);
      code.op('mul', x, x, inverse);
      code.store(weightPlace(context, row, vector), x);
    }
  }
}

function emitFloatDScores(code: Assembler, context: GradientContext, tile: ScoresTile): void {
  const { dScoresAt, weightsAt } = context;
  const { a: rowSum } = registersOf(context);
  for (let row = 0; row < tile.rows; row++) {
    code.broadcast(rowSum, { base: rowSumAt, displacement: 4 * row });
    for (let vector = 0; vector < tile.vectors; vector++) {
      const [x, at] = [sumAt(tile, row, vector), weightPlace(context, row, vector)];
      code.op('sub', x, x, rowSum);
      code.op('mul', x, x, at);
      code.store({ ...at, displacement: at.displacement! + dScoresAt - weightsAt }, x);
    }
  }
}

/** p of the scores that the forward pass had, to the bit. Its columns are rounded; ds is made of what it was before. */
function emitPairedWeights(code: Assembler, context: GradientContext, tile: PairedTile): void {
  const { largest, inverse, a, b, constants, toPower } = registersOf(context);
  const registers = powerRegisters(code, { a, b, first: constants });
  for (let row = 0; row < tile.rows; row++) {
    code.broadcast(largest, { base: statisticsAt, displacement: 4 * row });
    code.op('xor', largest, largest, code.numberBits(1 << 31));
    code.broadcast(inverse, { base: statisticsAt, displacement: 4 * (context.length + row) });
    for (let vector = 0; vector < tile.vectors; vector++) {
      const x = sumAt(tile, row, vector);
      code.op('fma213', x, toPower, largest);
      emitPowerOfTwo(code, x, registers);
      code.op('mul', x, x, inverse);
    }
    leaveOut(code, context, { ...tile, row });
    for (let vector = 0; vector < tile.vectors; vector++)
      code.store(weightPlace(context, row, vector), sumAt(tile, row, vector));
  }
  storeColumns(code, context, { ...tile, at: context.weightColumnsAt });
}

function emitPairedDScores(code: Assembler, context: GradientContext, tile: PairedTile): void {
  const { a: rowSum, b: none, scale, inverse: pairs } = registersOf(context);
  if (tile.vectors === 1) code.zero(none);
  for (let row = 0; row < tile.rows; row++) {
    code.broadcast(rowSum, { base: rowSumAt, displacement: 4 * row });
    for (let vector = 0; vector < tile.vectors; vector++) {
      const x = sumAt(tile, row, vector);
      code.op('fma213', x, scale, rowSum);
      code.op('mul', x, x, weightPlace(context, row, vector));
    }
    leaveOut(code, context, { ...tile, row });
    code.toBfloat16(pairs, sumAt(tile, row, 0), tile.vectors === 2 ? sumAt(tile, row, 1) : none);
    code.store(weightPlace(context, row, 0), pairs);
  }
  storeColumns(code, context, { ...tile, at: context.dScoreColumnsAt });
}

/** Zeros for keys behind the query of a row: they may be in its pairs. */
function leaveOut(
  code: Assembler,
  { lanes }: GradientContext,
  { diagonal, vectors, row }: ScoresTile & { row: number },
): void {
  if (diagonal === undefined) return;
  const vector = vectors - 1;
  const x = sumAt({ vectors }, row, vector);
  const mask = 1;
  code.setMask(mask, diagonal + row + 1 - vector * lanes, rcx);
  code.keepMasked(x, x, mask);
}

/** Pairs of a tile's rows, of which the last one may be alone. */
function storeColumns(
  code: Assembler,
  context: GradientContext,
  { rows, vectors, pairing, at }: PairedTile & { at: number },
): void {
  const { a: pair, b: none } = registersOf(context);
  if (rows % 2 > 0) code.zero(none);
  for (let row = 0; row < rows; row += 2)
    for (let vector = 0; vector < vectors; vector++) {
      const other = row + 1 < rows ? sumAt({ vectors }, row + 1, vector) : none;
      pairing.emit(pair, sumAt({ vectors }, row, vector), other);
      const place = weightPlace(context, row, vector);
      code.store({ ...place, displacement: place.displacement! + at - context.weightsAt }, pair);
    }
}
