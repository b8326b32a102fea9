import { type Assembler } from './assembler';
import { type Gpr } from './encoding';
import { maskFor } from './lanes';
import { emitTranspose } from './transpose';

export interface TransposedCopy {
  /** Address of the first row; moves. */
  readonly source: Gpr;
  /** Bytes from row to row. */
  readonly rowStride: number;
  /** At most two registers full. */
  readonly rows: number;
  readonly columns: number;
  /** Address of the first column's place, whose rows stand side by side in two registers full of floats; moves. */
  readonly target: Gpr;
  /** What every element is multiplied by. */
  readonly factor: number;
  readonly counter: Gpr;
  readonly scratch: Gpr;
}

/** Copies a matrix of few rows to [columns, 2 · lanes], where zeros stand for the rows that are missing. */
export function emitTransposedCopy(code: Assembler, copy: TransposedCopy): void {
  const { columns, source, target, counter } = copy;
  const { lanes } = code;
  const groups = Math.floor(columns / lanes);
  const advance = (): void => {
    code.addImmediate(source, 4 * lanes);
    code.addImmediate(target, lanes * 8 * lanes);
  };
  if (groups > 0) {
    code.movImmediate(counter, groups);
    const start = {};
    code.align(16);
    code.place(start);
    emitColumns(code, copy, lanes);
    advance();
    code.addImmediate(counter, -1);
    code.jumpIf('notEqual', start);
  }
  if (columns % lanes > 0) emitColumns(code, copy, columns % lanes);
}

/** As many columns as fit a register, or fewer. */
function emitColumns(code: Assembler, copy: TransposedCopy, columns: number): void {
  const { rows, source, rowStride, target, factor, scratch } = copy;
  const { lanes } = code;
  const partial = columns < lanes;
  for (let half = 0; half < 2; half++) {
    const mask = maskFor(code, code.registers - 1); // free until the rows are there
    if (partial) code.setMask(mask, columns, scratch);
    for (let row = 0; row < lanes; row++) {
      const at = half * lanes + row;
      const place = { base: source, displacement: at * rowStride };
      if (at >= rows) code.zero(row);
      else if (partial) code.loadMasked(row, place, mask);
      else code.load(row, place);
      if (at < rows && factor !== 1) code.op('mul', row, row, code.number(factor));
    }
    const transposed = emitTranspose(code);
    for (let column = 0; column < columns; column++)
      code.store({ base: target, displacement: 4 * lanes * (2 * column + half) }, transposed[column]);
  }
}
