/**
 * Factors laid out in bfloat16, in pairs along the depth: a word of 32 bits has two numbers that are multiplied and added in one step
 * (`Assembler.dotBfloat16`). A missing last one is zero. See packing.ts for floats.
 */
import { type Assembler } from '../assembler';
import { type Gpr, type Memory, type Vec } from '../encoding';
import { emitTranspose } from '../transpose';
import { type Precision } from '../tile';
import { floats, type Layout, type Packing, packingMask, type PanelSource, repeat, type RowsSource } from './packing';

/** Bytes of what becomes one vector of pairs. */
const sourceBytes = 128;
const vectorBytes = 64;
/** Floats of a vector. */
const lanes = 16;

/** Makes pairs of two rows, lane by lane. */
export class PairingRows {
  private static readonly order = Array.from({ length: 2 * lanes }, (_, i) => (i % 2) * lanes + Math.floor(i / 2));

  /** `indices` is a register that stays as it is while rows are paired. */
  constructor(
    private readonly code: Assembler,
    private readonly indices: Vec,
  ) {
    code.load(indices, code.words(PairingRows.order));
  }

  /** target = the pairs of a vector of the first row and one of the second, which may be `target`. */
  emit(target: Vec, first: Vec | Memory, second: Vec): void {
    this.code.toBfloat16(target, first, second);
    this.code.permuteWords(target, target, this.indices);
  }
}

function packRowPairs(
  code: Assembler,
  { panel, depth, stride }: PanelSource,
  { source, target, counter, scratch }: Packing,
): void {
  const { vectors, last } = panel;
  const partial = last < lanes;
  const mask = packingMask(code);
  const pairing = new PairingRows(code, code.registers - 1);
  if (partial) code.setMask(mask, last, scratch);
  const copy = (pairs: number, rows: number): void => {
    for (let pair = 0; pair < pairs; pair++) {
      for (let vector = 0; vector < vectors; vector++) {
        const [first, second] = [0, 1].map((nth) => 2 * ((pair * vectors + vector) % lanes) + nth).map((r) => r % 30);
        const load = (register: Vec, row: number): void => {
          const from = { base: source, displacement: row * stride + vector * vectorBytes };
          if (row >= rows) code.zero(register);
          else if (partial && vector === vectors - 1) code.loadMasked(register, from, mask);
          else code.load(register, from);
        };
        load(first, 2 * pair);
        load(second, 2 * pair + 1);
        pairing.emit(second, first, second);
        code.store({ base: target, displacement: (pair * vectors + vector) * vectorBytes }, second);
      }
    }
    code.addImmediate(source, rows * stride);
    code.addImmediate(target, pairs * vectors * vectorBytes);
  };
  repeat(code, { counter, times: Math.floor(depth / 4) }, () => copy(2, 4));
  copy(Math.ceil((depth % 4) / 2), depth % 4);
}

function packColumnPairs(
  code: Assembler,
  { panel, depth, stride }: PanelSource,
  { source, target, counter, scratch }: Packing,
): void {
  const { vectors, last } = panel;
  const square = (vector: number, terms: number): void => {
    const present = vector === vectors - 1 ? last : lanes;
    const pair = pairsAlongRows(code, terms, scratch);
    for (let row = 0; row < lanes; row++) {
      if (row >= present) code.zero(row);
      else pair(row, { base: source, displacement: (vector * lanes + row) * stride }, row + lanes);
    }
    const columns = emitTranspose(code);
    for (let pair = 0; pair < Math.ceil(terms / 2); pair++)
      code.store({ base: target, displacement: (pair * vectors + vector) * vectorBytes }, columns[pair]);
  };
  const squares = (terms: number): void => {
    for (let vector = 0; vector < vectors; vector++) square(vector, terms);
    code.addImmediate(source, terms * 4);
    code.addImmediate(target, Math.ceil(terms / 2) * vectors * vectorBytes);
  };
  repeat(code, { counter, times: Math.floor(depth / (2 * lanes)) }, () => squares(2 * lanes));
  if (depth % (2 * lanes) > 0) squares(depth % (2 * lanes));
}

/** Rows of numbers in memory as rows of pairs. `terms` at most 32 of a row become a vector: (target, source, free register). */
export function pairsAlongRows(
  code: Assembler,
  terms: number,
  scratch: Gpr,
): (target: Vec, source: Memory, free: Vec) => void {
  const mask = packingMask(code);
  const [low, high] = [Math.min(terms, lanes), Math.max(0, terms - lanes)];
  const partial = [low, high].find((count) => count > 0 && count < lanes);
  if (partial !== undefined) code.setMask(mask, partial, scratch);
  const load = (target: Vec, source: Memory, count: number): void => {
    if (count === 0) code.zero(target);
    else if (count < lanes) code.loadMasked(target, source, mask);
    else code.load(target, source);
  };
  return (target, source, free) => {
    load(free, { ...source, displacement: (source.displacement ?? 0) + vectorBytes }, high);
    if (low === lanes) return code.toBfloat16(target, source, free);
    load(target, source, low);
    code.toBfloat16(target, target, free);
  };
}

function packPairs(
  code: Assembler,
  { rows, depth, stride, rowStride }: RowsSource,
  { source, target, counter, scratch }: Packing,
): void {
  const copy = (terms: number): void => {
    const pair = pairsAlongRows(code, terms, scratch);
    for (let row = 0; row < rows; row++) {
      const register = 2 * (row % 16);
      pair(register, { base: source, displacement: row * stride }, register + 1);
      code.store({ base: target, displacement: row * rowStride }, register);
    }
  };
  repeat(code, { counter, times: Math.floor(depth / (2 * lanes)) }, () => {
    copy(2 * lanes);
    code.addImmediate(source, sourceBytes);
    code.addImmediate(target, vectorBytes);
  });
  if (depth % (2 * lanes) > 0) copy(depth % (2 * lanes));
}

export const pairs: Layout = {
  terms: 2,
  rows: packRowPairs,
  columns: packColumnPairs,
  along: packPairs,
  rowBytes: (depth) => Math.ceil(depth / (2 * lanes)) * vectorBytes,
  across(code, { source, target, vectors, stride }) {
    const pairing = new PairingRows(code, code.registers - 1);
    return (rows) => {
      for (let vector = 0; vector < vectors; vector++) {
        const displacement = vector * vectorBytes;
        if (rows === 2) code.load(vector, { base: source, displacement: stride + displacement });
        else code.zero(vector);
        pairing.emit(vector, { base: source, displacement }, vector);
        code.store({ base: target, displacement }, vector);
      }
    };
  },
};

/** How factors of a precision are laid out. */
export const layoutOf = (precision: Precision | undefined): Layout => (precision === 'bfloat16' ? pairs : floats);
