/** Factors of a product laid out as the inner loop reads them: in the order of the depth, without gaps. Here as floats. */
import { type Assembler } from '../assembler';
import { type Gpr, type Label, type Memory } from '../encoding';
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

export interface RowsSource {
  readonly rows: number;
  readonly depth: number;
  /** Bytes from one row in memory to the next, and in what they become. */
  readonly stride: number;
  readonly rowStride: number;
}

/** How numbers are laid out: as floats, or rounded to bfloat16 in pairs along the depth. */
export interface Layout {
  /** Along the depth, numbers of a word of 4 bytes. */
  readonly terms: 1 | 2;
  /** Copies rows along the depth; `source` moves on by `depth` rows, `target` by the panel's. */
  readonly rows: (code: Assembler, source: PanelSource, registers: Packing) => void;
  /**
   * Transposes: memory has the panel's columns as rows, `stride` bytes apart. `target` moves on by the panel's rows, `source` by
   * `depth` numbers.
   */
  readonly columns: (code: Assembler, source: PanelSource, registers: Packing) => void;
  /** Copies rows whose numbers lie side by side. Changes both registers. */
  readonly along: (code: Assembler, source: RowsSource, registers: Packing) => void;
  /** Bytes that a row of so many numbers takes there, in whole lines of the cache. */
  readonly rowBytes: (depth: number) => number;
  /**
   * Emits copying `vectors` vectors of a row, or a pair of rows `stride` apart of which the second may be missing, as often as the
   * function that it gives is called: with the number of rows that there are. Uses the first vector registers and the last.
   */
  readonly across: (
    code: Assembler,
    part: { readonly source: Gpr; readonly target: Gpr; readonly vectors: number; readonly stride: number },
  ) => (rows: number) => void;
}

/** The mask, or with AVX2 the register, that packing uses. */
export const packingMask = (code: Assembler): number => (code.extension === 'avx512' ? 7 : code.registers - 1);

export interface PanelSource {
  readonly panel: Panel;
  readonly depth: number;
  /** Bytes from one row in memory to the next. */
  readonly stride: number;
}

function packRows(
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

function packColumns(
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

function packAlong(
  code: Assembler,
  { rows, depth, stride, rowStride }: RowsSource,
  { source, target, counter, scratch }: Packing,
): void {
  const { lanes } = code;
  const copy = (load: (register: number, from: Memory) => void): void => {
    for (let row = 0; row < rows; row++) {
      load(row % 8, { base: source, displacement: row * stride });
      code.store({ base: target, displacement: row * rowStride }, row % 8);
    }
  };
  repeat(code, { counter, times: Math.floor(depth / lanes) }, () => {
    copy((register, from) => code.load(register, from));
    code.addImmediate(source, 4 * lanes);
    code.addImmediate(target, 4 * lanes);
  });
  if (depth % lanes === 0) return;
  const mask = packingMask(code);
  code.setMask(mask, depth % lanes, scratch);
  copy((register, from) => code.loadMasked(register, from, mask));
}

export const floats: Layout = {
  terms: 1,
  rows: packRows,
  columns: packColumns,
  along: packAlong,
  rowBytes: (depth) => Math.ceil(depth / 16) * 64,
  across:
    (code, { source, target, vectors }) =>
    () => {
      for (let vector = 0; vector < vectors; vector++) {
        const displacement = vector * 4 * code.lanes;
        code.load(vector, { base: source, displacement });
        code.store({ base: target, displacement }, vector);
      }
    },
};

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
