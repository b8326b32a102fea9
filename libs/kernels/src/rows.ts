/**
 * Kernels that go over a matrix row by row. Tasks are blocks of rows of a size that depends on the shape alone: what a task adds
 * up, and so the result to the last bit, is the same for any number of threads.
 */
import { type Assembler } from './assembler';
import { type Gpr, type Label, type Memory, rax, rdi, rsi, type Vec } from './encoding';
import { loop, type PhaseSource } from './kernel';

export interface Matrix {
  readonly rows: number;
  readonly columns: number;
}

/** Floats of one task: small enough to share evenly, large enough not to be felt. */
const taskLength = 16384;
/** Blocks leave partial sums behind, so there are not too many. */
const mostBlocks = 64;
/** Rows that are read side by side; blocks are multiples of it. */
const together = 8;

export interface Blocks {
  readonly count: number;
  /** Rows of each but the last, which may have fewer. */
  readonly rows: number;
}

export function blocksOf({ rows, columns }: Matrix): Blocks {
  const wanted = Math.max(Math.ceil(taskLength / columns), Math.ceil(rows / mostBlocks));
  const height = together * Math.ceil(wanted / together);
  return { count: Math.ceil(rows / height), rows: height };
}

/** A place that moves from row to row, by so many bytes. */
export interface Moving {
  readonly base: Gpr;
  readonly stride: number;
}

/** The register of a kernel's nth pointer, inputs first, then outputs. */
export function loadPointers(code: Assembler, registers: readonly Gpr[]): void {
  registers.forEach((register, i) => code.mov(register, { base: rdi, displacement: 8 * i }));
}

/** Moves to the first row of the task in rsi, and makes rsi the number of its rows. Changes rax. */
export function startBlock(
  code: Assembler,
  { rows, blocks }: { rows: number; blocks: Blocks },
  moving: readonly Moving[],
): void {
  // prettier-ignore
  const enough: Label = {};
  for (const { base, stride } of moving) {
    code.mulImmediate(rax, rsi, blocks.rows * stride);
    code.addGpr(base, rax);
  }
  code.mulImmediate(rsi, rsi, -blocks.rows);
  code.addImmediate(rsi, rows);
  code.compareImmediate(rsi, blocks.rows);
  code.jumpIf('lessOrEqual', enough);
  code.movImmediate(rsi, blocks.rows);
  code.place(enough);
}

/** Emits `body` for each row of the task in rsi; rax is free in it. */
export function emitRows(
  code: Assembler,
  matrix: { rows: number; blocks: Blocks; moving: readonly Moving[] },
  body: () => void,
): void {
  // prettier-ignore
  const next: Label = {};
  startBlock(code, matrix, matrix.moving);
  code.align(16);
  code.place(next);
  body();
  for (const { base, stride } of matrix.moving) code.addImmediate(base, stride);
  code.addImmediate(rsi, -1);
  code.jumpIf('greater', next);
}

/** A vector of a row. */
export interface Part {
  /** Where it stands in the row that begins at `base`. */
  at(base: Gpr): Memory;
  /** It is the end of a row, which fills only a part of it. */
  readonly masked: boolean;
  /** Counts vectors, round and round: for sums that do not wait for one another. */
  readonly nth: number;
}

/** The mask of the end of a row: a mask register of AVX-512, or the last vector register of AVX2. */
export const tailMask = (code: Assembler): number => (code.extension === 'avx512' ? 1 : 15);

/** Makes the mask for rows of so many floats. Changes rax. */
export function setTailMask(code: Assembler, columns: number): void {
  if (columns % code.lanes !== 0) code.setMask(tailMask(code), columns % code.lanes, rax);
}

/** Emits `body` for the vectors of a row of `columns` floats, in rax how far it got, in bytes. */
export function emitRow(
  code: Assembler,
  { columns, unrolled }: { columns: number; unrolled: number },
  body: (part: Part) => void,
): void {
  // prettier-ignore
  const { lanes } = code;
  const part = (nth: number, masked: boolean): Part => ({
    at: (base) => ({ base, index: rax, displacement: 4 * lanes * nth }),
    masked,
    nth: nth % unrolled,
  });
  const vectors = Math.floor(columns / lanes);
  const step = 4 * lanes * unrolled;
  const rounds = Math.floor(vectors / unrolled);
  if (rounds > 0) {
    loop(code, { counter: rax, end: rounds * step, step }, () => {
      for (let nth = 0; nth < unrolled; nth++) body(part(nth, false));
    });
  } else {
    code.movImmediate(rax, 0);
  }
  const rest = vectors % unrolled;
  for (let nth = 0; nth < rest; nth++) body(part(nth, false));
  if (columns % lanes !== 0) body(part(rest, true));
}

export function loadPart(code: Assembler, target: Vec, { base, part }: { base: Gpr; part: Part }): void {
  if (part.masked) code.loadMasked(target, part.at(base), tailMask(code));
  else code.load(target, part.at(base));
}

export function storePart(code: Assembler, source: Vec, { base, part }: { base: Gpr; part: Part }): void {
  if (part.masked) code.storeMasked(part.at(base), source, tailMask(code));
  else code.store(part.at(base), source);
}

/** The sum or maximum over several registers and all their lanes, in every lane of the first. Changes them and `scratch`. */
export function emitReduction(
  code: Assembler,
  name: 'add' | 'max',
  { of, scratch }: { of: readonly Vec[]; scratch: Vec },
): void {
  // prettier-ignore
  for (let half = of.length / 2; half >= 1; half /= 2)
    for (let i = 0; i < half; i++) code.op(name, of[i], of[i], of[i + half]);
  code.reduce(name, of[0], of[0], scratch);
  code.broadcast(of[0], of[0]);
}

/** Zeros in a row. Changes rax and `scratch`. */
export function emitZeros(
  code: Assembler,
  { base, columns, scratch }: { base: Gpr; columns: number; scratch: Vec },
): void {
  // prettier-ignore
  code.zero(scratch);
  emitRow(code, { columns, unrolled: 4 }, (part) => storePart(code, scratch, { base, part }));
}

/** Floats of a strip of columns. */
const stripLength = 64;

interface Partials {
  /** Numbers of the pointers of what is added and of the sums. */
  readonly source: number;
  readonly target: number;
  readonly blocks: number;
  /** Floats from the beginning of the source, and from one block to the next. */
  readonly offset?: number;
  readonly stride: number;
  readonly columns: number;
}

/** The phase that adds what blocks have left, [blocks, columns] → [columns], in their order. A task has a strip of columns. */
export function sumPhase({ source, target, blocks, offset = 0, stride, columns }: Partials): PhaseSource {
  const tasks = Math.ceil(columns / stripLength);
  return {
    tasks,
    emit: (code) => {
      const [from, to, counter]: Gpr[] = [2, 1, 8];
      code.mov(from, { base: rdi, displacement: 8 * source });
      code.mov(to, { base: rdi, displacement: 8 * target });
      code.mulImmediate(rax, rsi, 4 * stripLength);
      code.addGpr(from, rax);
      code.addGpr(to, rax);
      code.addImmediate(from, 4 * offset);
      const strip = (length: number): void => {
        const vectors = Math.ceil(length / code.lanes);
        const each = (visit: (vector: number, part: Part) => void): void => {
          for (let nth = 0; nth < vectors; nth++) {
            const at = (base: Gpr): Memory => ({ base, displacement: 4 * code.lanes * nth });
            visit(nth, { at, nth, masked: (nth + 1) * code.lanes > length });
          }
        };
        setTailMask(code, length);
        each((nth) => code.zero(nth));
        loop(code, { counter, end: blocks, step: 1 }, () => {
          each((nth, part) => {
            const scratch = 8 + (nth % 4);
            loadPart(code, scratch, { base: from, part });
            code.op('add', nth, nth, scratch);
          });
          code.addImmediate(from, 4 * stride);
        });
        each((nth, part) => storePart(code, nth, { base: to, part }));
      };
      const rest = columns % stripLength;
      const [last, done]: Label[] = [{}, {}];
      if (rest !== 0) {
        code.compareImmediate(rsi, tasks - 1);
        code.jumpIf('equal', last);
      }
      if (tasks > 1 || rest === 0) strip(stripLength);
      if (rest === 0) return;
      code.jump(done);
      code.place(last);
      strip(rest);
      code.place(done);
    },
  };
}

/** The phase in which each block adds its rows: [rows, columns] → [blocks, columns]. */
export function blockSumPhase(
  { rows, columns }: Matrix,
  { source, target }: { source: number; target: number },
): PhaseSource {
  // prettier-ignore
  const blocks = blocksOf({ rows, columns });
  const stride = 4 * columns;
  return {
    tasks: blocks.count,
    emit: (code) => {
      const [x, sums]: Gpr[] = [2, 1];
      code.mov(x, { base: rdi, displacement: 8 * source });
      code.mov(sums, { base: rdi, displacement: 8 * target });
      setTailMask(code, columns);
      code.mulImmediate(rax, rsi, stride);
      code.addGpr(sums, rax);
      startBlock(code, { rows, blocks }, [{ base: x, stride }]);
      emitZeros(code, { base: sums, columns, scratch: 0 });
      const add = (count: number): void =>
        emitRow(code, { columns, unrolled: 2 }, (part) => {
          const [sum, scratch] = [2 * part.nth, 2 * part.nth + 1];
          loadPart(code, sum, { base: sums, part });
          for (let row = 0; row < count; row++) {
            const place = part.at(x);
            const moved = { ...place, displacement: (place.displacement ?? 0) + row * stride };
            if (part.masked) {
              code.loadMasked(scratch, moved, tailMask(code));
              code.op('add', sum, sum, scratch);
            } else {
              code.op('add', sum, sum, moved);
            }
          }
          storePart(code, sum, { base: sums, part });
        });
      const [many, rest, one, done]: Label[] = [{}, {}, {}, {}];
      code.addImmediate(rsi, -together);
      code.jumpIf('less', rest);
      code.place(many);
      add(together);
      code.addImmediate(x, together * stride);
      code.addImmediate(rsi, -together);
      code.jumpIf('greaterOrEqual', many);
      code.place(rest);
      code.addImmediate(rsi, together);
      code.compareImmediate(rsi, 0);
      code.jumpIf('equal', done);
      code.place(one);
      add(1);
      code.addImmediate(x, stride);
      code.addImmediate(rsi, -1);
      code.jumpIf('greater', one);
      code.place(done);
    },
  };
}
