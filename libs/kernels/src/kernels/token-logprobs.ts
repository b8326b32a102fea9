/**
 * What training needs of each row's softmax, without ever writing the softmax down: logits x [N, V], z = x / temperature,
 * p = softmax(z). One column can be excluded: a number so low is added to its logit that its p is exactly 0.
 *
 * The largest z of a row and the logarithm of Σ exp(z − largest) are kept apart: their sum would lose digits where z is large.
 */
import { type Assembler } from '../assembler';
import { type Gpr, type Label, r10, r11, r8, r9, rax, rbx, rcx, rdx, type Vec, type VectorExtension } from '../encoding'; // prettier-ignore
import { assembleKernel, type Kernel } from '../kernel';
import { emitExp, emitLog } from '../mathematics';
import { blocksOf, emitReduction, emitRow, emitRows, loadPart, loadPointers, type Matrix, type Part, setTailMask, storePart, tailMask } from '../rows'; // prettier-ignore

export interface LogitsSpec extends Matrix {
  /** The column, and what is added to its logits. */
  readonly excluded?: { readonly column: number; readonly added: number };
}

const unrolled = 2;
const [logits, inverse] = [rdx, 13];

/** Registers of a row's statistics, in every lane. */
const [largest, logSum] = [11, 12];
const statisticsPerRow = 2;

/** inverse = 1 / temperature */
function emitTemperature(code: Assembler, temperature: Gpr): void {
  code.broadcast(0, { base: temperature });
  code.load(inverse, code.number(1));
  code.op('div', inverse, inverse, 0);
}

/** Emits `body` for each vector of a row, with z of it in register `part.nth`; what stands past the row's end is of no interest. */
function emitLogits(code: Assembler, { columns, excluded }: LogitsSpec, body: (part: Part, z: Vec) => void): void {
  const { lanes } = code;
  const added = excluded && {
    // Where the vector with the column stands, in bytes, and what is added to it.
    at: 4 * lanes * Math.floor(excluded.column / lanes),
    amounts: code.numbers(Array.from({ length: lanes }, (_, lane) => (lane === excluded.column % lanes ? excluded.added : 0))), // prettier-ignore
  };
  emitRow(code, { columns, unrolled }, (part) => {
    const z = part.nth;
    loadPart(code, z, { base: logits, part });
    if (added) {
      const plain: Label = {};
      code.compareImmediate(rax, added.at - (part.at(logits).displacement ?? 0));
      code.jumpIf('notEqual', plain); // which the processor foresees
      code.op('add', z, z, added.amounts);
      code.place(plain);
    }
    code.op('mul', z, z, inverse);
    body(part, z);
  });
}

/** Finds the statistics of a row; `visit` gets z − largest and its exponential, which is 0 past the end. */
function emitStatistics(
  code: Assembler,
  spec: LogitsSpec,
  visit: (part: Part, both: { distance: Vec; exponential: Vec }) => void = () => undefined,
): void {
  // prettier-ignore
  const maxima: Vec[] = [2, 3];
  const sums: Vec[] = [4, 5];
  const lowest = 6;
  code.load(lowest, code.number(-Infinity));
  maxima.forEach((maximum) => code.load(maximum, lowest));
  emitLogits(code, spec, (part, z) => {
    const maximum = maxima[part.nth];
    if (!part.masked) return code.op('max', maximum, maximum, z);
    code.blendMasked(7, z, lowest, tailMask(code));
    code.op('max', maximum, maximum, 7);
  });
  emitReduction(code, 'max', { of: maxima, scratch: 6 });
  code.load(largest, maxima[0]);
  sums.forEach((sum) => code.zero(sum));
  emitLogits(code, spec, (part, z) => {
    code.op('sub', z, z, largest);
    const exponential = 6;
    code.load(exponential, z);
    emitExp(code, exponential, { a: 7, b: 8 });
    if (part.masked) code.keepMasked(exponential, exponential, tailMask(code));
    code.op('add', sums[part.nth], sums[part.nth], exponential);
    visit(part, { distance: z, exponential });
  });
  emitReduction(code, 'add', { of: sums, scratch: 6 });
  code.load(logSum, sums[0]);
  emitLog(code, logSum, { a: 5, b: 6, c: 7 });
}

const movingRows = (spec: LogitsSpec, moving: { matrices: readonly Gpr[]; numbers: readonly Gpr[]; statistics: Gpr }) => ({
  rows: spec.rows,
  blocks: blocksOf(spec),
  moving: [
    ...moving.matrices.map((base) => ({ base, stride: 4 * spec.columns })),
    ...moving.numbers.map((base) => ({ base, stride: 4 })),
    { base: moving.statistics, stride: 4 * statisticsPerRow },
  ],
}); // prettier-ignore

/** Stores and loads the statistics of a row. */
function storeStatistics(code: Assembler, base: Gpr): void {
  code.storeOne({ base }, largest);
  code.storeOne({ base, displacement: 4 }, logSum);
}
function loadStatistics(code: Assembler, base: Gpr): void {
  code.broadcast(largest, { base });
  code.broadcast(logSum, { base, displacement: 4 });
}

/**
 * x [N, V], targets int32 [N], temperature [1] → log p of the targets [N], statistics [N, 2]. A target that is no column gives
 * NaN, and nothing outside of the row is read.
 */
export function tokenLogprobsKernel(extension: VectorExtension, spec: LogitsSpec): Kernel {
  const { rows, columns, excluded } = spec;
  const [targets, temperature, logprobs, statistics, target] = [rcx, r8, r9, r10, rbx];
  const emit = (code: Assembler): void => {
    loadPointers(code, [logits, targets, temperature, logprobs, statistics]);
    setTailMask(code, columns);
    emitTemperature(code, temperature);
    emitRows(code, movingRows(spec, { matrices: [logits], numbers: [targets, logprobs], statistics }), () => {
      emitStatistics(code, spec);
      storeStatistics(code, statistics);
      const [outside, plain, done]: Label[] = [{}, {}, {}];
      code.movInt32(target, { base: targets });
      code.compareImmediate(target, columns);
      code.jumpIf('aboveOrEqual', outside); // negative numbers, too, which are large without their sign
      code.loadOne(0, { base: logits, index: target, scale: 4 });
      if (excluded) {
        code.compareImmediate(target, excluded.column);
        code.jumpIf('notEqual', plain);
        code.op('add', 0, 0, code.number(excluded.added));
        code.place(plain);
      }
      code.op('mul', 0, 0, inverse);
      code.op('sub', 0, 0, largest);
      code.op('sub', 0, 0, logSum);
      code.storeOne({ base: logprobs }, 0);
      code.jump(done);
      code.place(outside);
      code.load(0, code.number(NaN));
      code.storeOne({ base: logprobs }, 0);
      code.place(done);
    });
  };
  return assembleKernel(extension, {
    name: 'TokenLogprobs',
    inputs: ['float32', 'int32', 'float32'],
    outputs: [[rows], [rows, statisticsPerRow]].map((shape) => ({ type: 'float32', shape })),
    phases: [{ tasks: blocksOf(spec).count, emit }],
  });
}

/** x [N, V], targets int32 [N], temperature [1], statistics [N, 2], dy [N] → dx = dy (onehot(target) − p) / temperature [N, V] */
export function tokenLogprobsGradientKernel(extension: VectorExtension, spec: LogitsSpec): Kernel {
  const { rows, columns } = spec;
  const [targets, temperature, statistics, dy, dx, target] = [rcx, r8, r9, r10, r11, rbx];
  const [slope, negative] = [14, 10];
  const emit = (code: Assembler): void => {
    loadPointers(code, [logits, targets, temperature, statistics, dy, dx]);
    setTailMask(code, columns);
    emitTemperature(code, temperature);
    emitRows(code, movingRows(spec, { matrices: [logits, dx], numbers: [targets, dy], statistics }), () => {
      loadStatistics(code, statistics);
      code.broadcast(slope, { base: dy });
      code.op('mul', slope, slope, inverse);
      code.zero(negative);
      code.op('sub', negative, negative, slope);
      emitLogits(code, spec, (part, z) => {
        code.op('sub', z, z, largest);
        code.op('sub', z, z, logSum);
        emitExp(code, z, { a: 7, b: 8 });
        code.op('mul', z, z, negative);
        storePart(code, z, { base: dx, part });
      });
      const outside: Label = {};
      code.movInt32(target, { base: targets });
      code.compareImmediate(target, columns);
      code.jumpIf('aboveOrEqual', outside);
      code.loadOne(0, { base: dx, index: target, scale: 4 });
      code.opOne('add', 0, 0, slope);
      code.storeOne({ base: dx, index: target, scale: 4 }, 0);
      code.place(outside);
    });
  };
  return assembleKernel(extension, {
    name: 'TokenLogprobsGradient',
    inputs: ['float32', 'int32', 'float32', 'float32', 'float32'],
    outputs: [{ type: 'float32', shape: [rows, columns] }],
    inPlace: true,
    phases: [{ tasks: blocksOf(spec).count, emit }],
  });
}

/** x [N, V], temperature [1] → entropy of p in nats [N], statistics [N, 2] */
export function entropyKernel(extension: VectorExtension, spec: LogitsSpec): Kernel {
  const { rows, columns } = spec;
  const [temperature, entropies, statistics] = [rcx, r8, r9];
  const moments: Vec[] = [9, 10];
  const emit = (code: Assembler): void => {
    loadPointers(code, [logits, temperature, entropies, statistics]);
    setTailMask(code, columns);
    emitTemperature(code, temperature);
    emitRows(code, movingRows(spec, { matrices: [logits], numbers: [entropies], statistics }), () => {
      moments.forEach((moment) => code.zero(moment));
      emitStatistics(code, spec, ({ nth }, { distance, exponential }) =>
        code.op('fma231', moments[nth], distance, exponential),
      );
      storeStatistics(code, statistics);
      // H = log Σ e − Σ e (z − largest) / Σ e
      emitReduction(code, 'add', { of: moments, scratch: 6 });
      code.op('div', 0, moments[0], 4);
      code.op('sub', 0, logSum, 0);
      code.storeOne({ base: entropies }, 0);
    });
  };
  return assembleKernel(extension, {
    name: 'Entropy',
    inputs: ['float32', 'float32'],
    outputs: [[rows], [rows, statisticsPerRow]].map((shape) => ({ type: 'float32', shape })),
    phases: [{ tasks: blocksOf(spec).count, emit }],
  });
}

/** x [N, V], temperature [1], entropy H [N], statistics [N, 2], dy [N] → dx = −dy p (log p + H) / temperature [N, V] */
export function entropyGradientKernel(extension: VectorExtension, spec: LogitsSpec): Kernel {
  const { rows, columns } = spec;
  const [temperature, entropies, statistics, dy, dx] = [rcx, r8, r9, r10, r11];
  const [entropy, negative] = [14, 10];
  const emit = (code: Assembler): void => {
    loadPointers(code, [logits, temperature, entropies, statistics, dy, dx]);
    setTailMask(code, columns);
    emitTemperature(code, temperature);
    emitRows(code, movingRows(spec, { matrices: [logits, dx], numbers: [entropies, dy], statistics }), () => {
      loadStatistics(code, statistics);
      code.broadcast(entropy, { base: entropies });
      code.broadcast(0, { base: dy });
      code.op('mul', 0, 0, inverse);
      code.zero(negative);
      code.op('sub', negative, negative, 0);
      emitLogits(code, spec, (part, z) => {
        code.op('sub', z, z, largest);
        code.op('sub', z, z, logSum); // log p
        code.load(6, z);
        emitExp(code, 6, { a: 7, b: 8 });
        code.op('add', z, z, entropy);
        code.op('mul', z, z, 6);
        code.op('mul', z, z, negative);
        storePart(code, z, { base: dx, part });
      });
    });
  };
  return assembleKernel(extension, {
    name: 'EntropyGradient',
    inputs: ['float32', 'float32', 'float32', 'float32', 'float32'],
    outputs: [{ type: 'float32', shape: [rows, columns] }],
    inPlace: true,
    phases: [{ tasks: blocksOf(spec).count, emit }],
  });
}
