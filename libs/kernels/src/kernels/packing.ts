/** Factors of a product laid out as the inner loop reads them: in the order of the depth, without gaps. */
import { type Assembler } from '../assembler';
import { type Gpr, type Label } from '../encoding';
import { emitTranspose } from '../transpose';

/** Columns of the right factor, `vectors` of them wide, of which the last vector has `last` columns. */
export interface Panel {
  readonly vectors: number;
  /** Columns of the last vector: all lanes, or fewer. */
  readonly last: number;
}

export interface Packing {
  readonly source: Gpr;
  readonly target: Gpr;
  /** Counts. */
  readonly counter: Gpr;
  /** One of the first eight general registers. */
  readonly scratch: Gpr;
}

/** The mask, or with AVX2 the register, that packing uses. */
export const packingMask = (code: Assembler): number => (code.extension === 'avx512' ? 7 : code.registers - 1);

export interface PanelSource {
  readonly panel: Panel;
  readonly depth: number;
  /** Bytes from one row in memory to the next. */
  readonly stride: number;
}

/** Copies rows along the depth; both registers move on by `depth` rows. */
export function packRows(
  code: Assembler,
  { panel, depth, stride }: PanelSource,
  { source, target, counter, scratch }: Packing,
): void {
  const { vectors, last } = panel;
  const vectorBytes = 4 * code.lanes;
  const partial = last < code.lanes;
  const mask = packingMask(code);
  if (partial) code.setMask(mask, last, scratch);
  const copy = (steps: number): void => {
    for (let step = 0; step < steps; step++) {
      for (let vector = 0; vector < vectors; vector++) {
        const register = (step * vectors + vector) % (code.registers - 1);
        const from = { base: source, displacement: step * stride + vector * vectorBytes };
        if (partial && vector === vectors - 1) code.loadMasked(register, from, mask);
        else code.load(register, from);
        code.store({ base: target, displacement: (step * vectors + vector) * vectorBytes }, register);
      }
    }
    code.addImmediate(source, steps * stride);
    code.addImmediate(target, steps * vectors * vectorBytes);
  };
  repeat(code, { counter, times: Math.floor(depth / 4) }, () => copy(4));
  copy(depth % 4);
}

/**
 * Transposes: memory has the panel's columns as rows, `stride` bytes apart. `target` moves on by `depth` rows of the panel,
 * `source` by `depth` numbers.
 */
export function packColumns(
  code: Assembler,
  { panel, depth, stride }: PanelSource,
  { source, target, counter, scratch }: Packing,
): void {
  const { vectors, last } = panel;
  const { lanes } = code;
  const vectorBytes = 4 * lanes;
  const mask = packingMask(code);
  const square = (vector: number, steps: number): void => {
    const present = vector === vectors - 1 ? last : lanes;
    if (steps < lanes) code.setMask(mask, steps, scratch);
    for (let row = 0; row < lanes; row++) {
      const from = { base: source, displacement: (vector * lanes + row) * stride };
      if (row >= present) code.zero(row);
      else if (steps < lanes) code.loadMasked(row, from, mask);
      else code.load(row, from);
    }
    const columns = emitTranspose(code);
    for (let step = 0; step < steps; step++)
      code.store({ base: target, displacement: step * vectors * vectorBytes + vector * vectorBytes }, columns[step]);
  };
  const squares = (steps: number): void => {
    for (let vector = 0; vector < vectors; vector++) square(vector, steps);
    code.addImmediate(source, steps * 4);
    code.addImmediate(target, steps * vectors * vectorBytes);
  };
  repeat(code, { counter, times: Math.floor(depth / lanes) }, () => squares(lanes));
  if (depth % lanes > 0) squares(depth % lanes);
}

/** Emits `body` to run `times` times, which is known. */
export function repeat(code: Assembler, { counter, times }: { counter: Gpr; times: number }, body: () => void): void {
  if (times === 0) return;
  const start: Label = {};
  code.movImmediate(counter, times);
  code.align(16);
  code.place(start);
  body();
  code.addImmediate(counter, -1);
  code.jumpIf('notEqual', start);
}
