/** Sums over rows, each in an order that depends on the shapes alone. */
import { type Assembler } from '../assembler';
import { type Label, r10, r8, r9, rax, rbx, rcx, rdi, rdx, rsi, type VectorExtension } from '../encoding';
import { assembleKernel, type Kernel } from '../kernel';
import { blocksOf, blockSumPhase, emitRow, loadPart, type Matrix, setTailMask, storePart, sumPhase } from '../rows';

/** Fewer blocks than this would leave threads without work. */
const fewestBlocks = 4;

/** x [N, C] → the sums of its columns [C], and those of blocks of rows where there are many */
export function columnSumKernel(extension: VectorExtension, { rows, columns }: Matrix): Kernel {
  const blocks = blocksOf({ rows, columns }).count;
  const sums = { type: 'float32', shape: [columns] } as const;
  const kernel = { name: 'ColumnSum', inputs: ['float32'] } as const;
  if (blocks < fewestBlocks) {
    const phases = [sumPhase({ source: 0, target: 1, blocks: rows, stride: columns, columns })];
    return assembleKernel(extension, { ...kernel, outputs: [sums], phases });
  }
  return assembleKernel(extension, {
    ...kernel,
    outputs: [sums, { type: 'float32', shape: [blocks, columns] }],
    phases: [
      blockSumPhase({ rows, columns }, { source: 0, target: 2 }),
      sumPhase({ source: 2, target: 1, blocks, stride: columns, columns }),
    ],
  });
}

export interface Segments extends Matrix {
  /** Rows of the result. */
  readonly segments: number;
  /** There is a third input, [segments, C], that the sums are added to. */
  readonly onto: boolean;
}

/** Floats of the result that a task has, at least, and most tasks: each looks at every id. */
const taskLength = 16384;
const mostTasks = 64;

/**
 * x [N, C], ids int32 [N] → [segments, C]: row n is added to row ids[n] of the result, in the order of n; those with other ids are
 * left out. A task has a range of the result's rows.
 */
export function segmentSumKernel(extension: VectorExtension, spec: Segments): Kernel {
  const { rows, columns, segments, onto } = spec;
  const tasks = Math.min(mostTasks, segments, Math.ceil((segments * columns) / taskLength));
  const height = Math.ceil(segments / tasks);
  const stride = 4 * columns;
  const [x, ids, sums, count, id, first, row] = [rdx, r8, r9, r10, rbx, rcx, rsi];
  const emit = (code: Assembler): void => {
    code.mov(x, { base: rdi });
    code.mov(ids, { base: rdi, displacement: 8 });
    code.mov(sums, { base: rdi, displacement: onto ? 24 : 16 });
    if (onto) code.mov(rbx, { base: rdi, displacement: 16 });
    emitRange(code, { count, segments, height });
    // rdi, rsi and rcx are what string instructions take.
    code.mulImmediate(rax, rsi, height * stride);
    code.addGpr(sums, rax);
    if (onto) code.addGpr(rbx, rax);
    code.mulImmediate(rax, rsi, height);
    code.push(rax);
    code.mulImmediate(rcx, count, stride);
    code.mov(rdi, sums);
    if (onto) {
      code.mov(rsi, rbx);
      code.raw([0xf3, 0xa4]); // rep movsb
    } else {
      code.movImmediate(rax, 0);
      code.raw([0xf3, 0xaa]); // rep stosb
    }
    code.pop(first);
    setTailMask(code, columns);
    const [next, skip]: Label[] = [{}, {}];
    code.movImmediate(row, 0);
    code.place(next);
    code.movInt32(id, { base: ids, index: row, scale: 4 });
    code.subGpr(id, first);
    code.compare(id, count);
    code.jumpIf('aboveOrEqual', skip);
    code.mulImmediate(id, id, stride);
    code.addGpr(id, sums);
    emitRow(code, { columns, unrolled: 4 }, (part) => {
      const [sum, value] = [part.nth, 4 + part.nth];
      loadPart(code, sum, { base: id, part });
      loadPart(code, value, { base: x, part });
      code.op('add', sum, sum, value);
      storePart(code, sum, { base: id, part });
    });
    code.place(skip);
    code.addImmediate(x, stride);
    code.addImmediate(row, 1);
    code.compareImmediate(row, rows);
    code.jumpIf('less', next);
  };
  return assembleKernel(extension, {
    name: 'SegmentSum',
    inputs: ['float32', 'int32', ...(onto ? (['float32'] as const) : [])],
    outputs: [{ type: 'float32', shape: [segments, columns] }],
    phases: [{ tasks: Math.ceil(segments / height), emit }],
  });
}

/** count = rows of the range that the task in rsi has. */
function emitRange(
  code: Assembler,
  { count, segments, height }: { count: number; segments: number; height: number },
): void {
  // prettier-ignore
  const enough: Label = {};
  code.mulImmediate(count, rsi, -height);
  code.addImmediate(count, segments);
  code.compareImmediate(count, height);
  code.jumpIf('lessOrEqual', enough);
  code.movImmediate(count, height);
  code.place(enough);
}
