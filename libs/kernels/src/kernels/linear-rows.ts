/**
 * A linear map of few rows, y = act(x W + b) + r, on a matrix laid out in panels (`panelsOf`): what a decoding step does.
 * Such a product is bound by reading the matrix, so each panel is read once for all rows, and the next is fetched meanwhile. Hence
 * matrices in 8 bits, too: they are widened in registers, and x and the sums stay float32. In bfloat16 each task first
 * rounds its rows of x, to its stack.
 */
import { type Assembler } from '../assembler';
import { type Label, r10, r11, r12, r13, r14, r15, r8, r9, rax, rbp, rbx, rcx, rdi, rdx, rsi, rsp, type Vec, type VectorExtension } from '../encoding'; // prettier-ignore
import { assembleKernel, type Kernel } from '../kernel';
import { emitProduct, lineBytes, mostRows, sumAt, termsOf, type Tile, type Touch, unrolled, zeroSums } from '../tile';
import { emitGeluGate } from './gelu';
import { type Panel, repeat } from './packing';
import { pairs } from './packing-pairs';
import { panelsOf, type PanelsSpec } from './panels';

export interface LinearRowsSpec extends PanelsSpec {
  readonly rows: number;
  /** Of x W + b. */
  readonly activation?: 'gelu';
  /** Whether r [rows, outputs] is added in the end. */
  readonly residual?: boolean;
  readonly threads: number;
}

/** Bytes of the matrix that a task should have. */
const taskBytes = { float32: 128 * 1024, bfloat16: 64 * 1024, int8: 32 * 1024 };
/** Tasks for each thread at most: one that is held up leaves the others something to do. In bfloat16 each rounds x anew. */
const tasksPerThread = { float32: 8, bfloat16: 4, int8: 8 };
/** Bytes ahead: as far as reading gets until memory answers. */
const prefetch = 16384;

/** Bytes of x in pairs that a task has on its stack; with more rows, they are shared out among tasks, too. */
const pairBytes = 256 * 1024;

/** (x [rows, inputs], panels, in words if not float32, b [outputs], r where there is one) → y [rows, outputs] */
export function linearRowsKernel(extension: VectorExtension, spec: LinearRowsSpec): Kernel {
  const { rows, inputs, outputs, block, precision = 'float32', threads, residual = false } = spec;
  const { panel, columns, count, last, bytes } = panelsOf(extension, spec);
  const panels = count + (last ? 1 : 0);
  const type = block === undefined ? precision : 'int8';
  const wanted = Math.ceil((panels * bytes) / taskBytes[type]);
  const most = Math.min(panels, Math.max(threads, Math.min(wanted, threads * tasksPerThread[type])));
  const own = Math.ceil(panels / most);
  const width = 4 * columns;
  const xRow = xRowOf(spec);
  const chunk = chunkOf(extension, { rows, rowBytes: xRow.packed });
  const chunks = Math.ceil(rows / chunk);

  const emit = (code: Assembler, rows: number): void => {
    const [next, done]: Label[] = [{}, {}];
    const [x, matrix, bias] = [r8, r9, r10];
    const y = residual ? r12 : r11;
    const rowTiles = rowTilesOf(extension, rows);
    const passes = rowTiles.reduce((sum, { times }) => sum + times, 0);
    /** While there is more than one tile to each panel, they fetch the next one. */
    const touch: Touch | undefined = passes > 1 ? { base: rdi, step: lineBytes, stepIn: 'code', lines: Math.ceil((unrolled * columns * (type === 'int8' ? 1 : 4)) / lineBytes / passes) } : undefined; // prettier-ignore
    if (precision === 'bfloat16') emitRounding(code, { rowTiles, inputs, xRow });
    // To the first panel of the task; r13 counts the panels that it has.
    code.mulImmediate(rax, rsi, own * bytes);
    code.addGpr(matrix, rax);
    code.mulImmediate(rax, rsi, own * width);
    for (const register of residual ? [bias, r11, r12] : [bias, r11]) code.addGpr(register, rax);
    code.mulImmediate(r13, rsi, -own);
    code.addImmediate(r13, panels);
    const enough: Label = {};
    code.compareImmediate(r13, own);
    code.jumpIf('lessOrEqual', enough);
    code.movImmediate(r13, own);
    code.place(enough);
    code.mulImmediate(r14, rsi, own); // number of the panel

    const emitPanel = (one: Panel): void => {
      code.mov(rbx, x);
      code.movImmediate(rbp, 0); // offset of the rows in y and r
      if (touch) {
        code.lea(touch.base, { base: matrix, displacement: bytes });
        code.movTo(touched, touch.base);
      }
      for (const { tileRows, times } of rowTiles) {
        const again: Label = {};
        if (times > 1) code.movImmediate(r15, times);
        code.place(again);
        emitRows(code, { ...spec, panel: one, rows: tileRows, rowStride: xRow.packed ?? xRow.bytes, y, touch });
        code.addImmediate(rbx, tileRows * (xRow.packed ?? xRow.bytes));
        code.addImmediate(rbp, tileRows * outputs * 4);
        if (times > 1) {
          code.addImmediate(r15, -1);
          code.jumpIf('notEqual', again);
        }
      }
    };
    code.place(next);
    if (last) {
      const full: Label = {};
      code.compareImmediate(r14, count);
      code.jumpIf('notEqual', full);
      emitPanel(last);
      code.jump(done);
      code.place(full);
    }
    emitPanel(panel);
    code.addImmediate(matrix, bytes);
    for (const register of residual ? [bias, r11, r12] : [bias, r11]) code.addImmediate(register, width);
    code.addImmediate(r14, 1);
    code.addImmediate(r13, -1);
    code.jumpIf('notEqual', next);
    code.place(done);
  };
  const emitChunks = (code: Assembler): void => {
    [r8, r9, r10, r11, r12].slice(0, residual ? 5 : 4).forEach((register, i) => {
      code.mov(register, { base: rdi, displacement: 8 * i });
    });
    if (chunks === 1) return emit(code, rows);
    const [rest, done]: Label[] = [{}, {}];
    code.mov(rax, rsi);
    code.movImmediate(rcx, Math.ceil(panels / own));
    code.divide(rcx); // rax = chunk of rows, rdx = panels
    code.mov(rsi, rdx);
    code.mulImmediate(rcx, rax, chunk * xRow.bytes);
    code.addGpr(r8, rcx);
    code.mulImmediate(rcx, rax, chunk * outputs * 4);
    for (const register of residual ? [r11, r12] : [r11]) code.addGpr(register, rcx);
    if (rows % chunk > 0) {
      code.compareImmediate(rax, chunks - 1);
      code.jumpIf('equal', rest);
    }
    emit(code, chunk);
    if (rows % chunk === 0) return;
    code.jump(done);
    code.place(rest);
    emit(code, rows % chunk);
    code.place(done);
  };
  return assembleKernel(extension, {
    name: 'LinearRows',
    inputs: ['float32', type === 'float32' ? 'float32' : 'int32', 'float32', ...(residual ? ['float32' as const] : [])],
    outputs: [{ type: 'float32', shape: [rows, outputs] }],
    phases: [
      { tasks: chunks * Math.ceil(panels / own), emit: emitChunks, stack: slotBytes + chunk * (xRow.packed ?? 0) },
    ],
  });
}

/** Bytes of a row of x: as it is given, and on the stack. */
interface RowOfX {
  readonly bytes: number;
  readonly packed: number | undefined;
}

const xRowOf = ({ inputs, precision }: LinearRowsSpec): RowOfX => ({
  bytes: 4 * inputs,
  packed: precision === 'bfloat16' ? pairs.rowBytes(inputs) + lineBytes : undefined, // a line, lest rows lie pages apart
});

/** Rows of a task: as many whole tiles as its stack has room for. */
function chunkOf(
  extension: VectorExtension,
  { rows, rowBytes }: { rows: number; rowBytes: number | undefined },
): number {
  if (rowBytes === undefined) return rows;
  const [{ tileRows }] = rowTilesOf(extension, rows);
  return Math.min(rows, tileRows * Math.max(1, Math.floor(pairBytes / (tileRows * rowBytes))));
}

/** Has r8 point to the rows of x in pairs, on the stack. */
function emitRounding(
  code: Assembler,
  { rowTiles, inputs, xRow }: { rowTiles: readonly RowTile[]; inputs: number; xRow: RowOfX },
): void {
  const [stride, rowStride] = [xRow.bytes, xRow.packed ?? 0];
  code.lea(rbx, { base: rsp, displacement: slotBytes });
  for (const { tileRows, times } of rowTiles) {
    repeat(code, { counter: r15, times }, () => {
      code.mov(rax, r8);
      code.mov(rbp, rbx);
      pairs.along(code, { rows: tileRows, depth: inputs, stride, rowStride }, { source: rax, target: rbp, counter: rcx, scratch: rdx }); // prettier-ignore
      code.addImmediate(r8, tileRows * stride);
      code.addImmediate(rbx, tileRows * rowStride);
    });
  }
  code.lea(r8, { base: rsp, displacement: slotBytes });
}

interface RowTile {
  readonly tileRows: number;
  readonly times: number;
}

/** Rows in tiles of equal size, but for the last. */
function rowTilesOf(extension: VectorExtension, rows: number): RowTile[] {
  const most = mostRows({ registers: extension === 'avx512' ? 32 : 16 }, 2);
  const tileRows = Math.ceil(rows / Math.ceil(rows / most));
  const rest = rows % tileRows;
  return [{ tileRows, times: Math.floor(rows / tileRows) }, ...(rest > 0 ? [{ tileRows: rest, times: 1 }] : [])];
}

/** Place on the stack: how far the next panel has been fetched. */
const touched = { base: rsp };
const slotBytes = 64;

/** One tile: rows from rbx on, the panel at r9; y and r at the offset rbp. */
function emitRows(
  code: Assembler,
  {
    panel: { vectors, last },
    rows,
    rowStride,
    inputs,
    outputs,
    precision,
    block,
    activation,
    residual,
    y,
    touch,
  }: LinearRowsSpec & { panel: Panel; rowStride: number; y: number; touch: Touch | undefined },
): void {
  const partial = last < code.lanes;
  const mask = code.extension === 'avx512' ? 1 : code.registers - 1;
  const isPartial = (vector: number): boolean => partial && vector === vectors - 1;
  const place = (row: number, vector: number, base: number) => ({
    base,
    displacement: row * outputs * 4 + vector * code.lanes * 4,
  });
  const loadBias = (target: Vec, vector: number): void => {
    const source = { base: r10, displacement: vector * code.lanes * 4 };
    if (!isPartial(vector)) return code.load(target, source);
    code.setMask(mask, last, rax);
    code.loadMasked(target, source, mask);
  };
  const forEachSum = (body: (sum: Vec, vector: number) => void): void => {
    for (let vector = 0; vector < vectors; vector++)
      for (let row = 0; row < rows; row++) body(sumAt({ vectors }, row, vector), vector);
  };
  const temporary = rows * vectors;
  code.mov(rdx, rbx);
  code.mov(rsi, r9);
  if (touch) code.mov(touch.base, touched);
  const product = {
    rows,
    vectors,
    precision,
    left: { base: rdx, step: 4, rowStride },
    ...(touch ? { touch } : { prefetch }),
  };
  if (block === undefined) {
    forEachSum(loadBias);
    const right = { base: rsi, step: vectors * code.lanes * 4 };
    emitProduct(code, {
      ...product,
      right,
      depth: Math.ceil(inputs / termsOf(precision)),
      depthIn: 'code',
      counter: rcx,
    });
  } else {
    emitByteProduct(code, { ...product, inputs, block });
    forEachSum((sum, vector) => {
      if (sum === vector) loadBias(temporary, vector);
      code.op('add', sum, sum, temporary);
    });
  }
  if (touch) code.movTo(touched, touch.base);
  code.lea(rdi, { base: y, index: rbp });
  if (residual) code.lea(rsi, { base: r11, index: rbp });
  for (let row = 0; row < rows; row++) {
    for (let vector = 0; vector < vectors; vector++) {
      const sum = sumAt({ vectors }, row, vector);
      if (activation) emitGelu(code, sum, temporary);
      if (partial && isPartial(vector)) code.setMask(mask, last, rax);
      if (residual) {
        if (isPartial(vector)) {
          code.loadMasked(temporary, place(row, vector, rsi), mask);
          code.op('add', sum, sum, temporary);
        } else {
          code.op('add', sum, sum, place(row, vector, rsi));
        }
      }
      if (isPartial(vector)) code.storeMasked(place(row, vector, rdi), sum, mask);
      else code.store(place(row, vector, rdi), sum);
    }
  }
}

/** The sums of a panel in 8 bits at rsi, of the columns in units of their scales until its end. */
function emitByteProduct(
  code: Assembler,
  {
    inputs,
    block,
    ...tile
  }: Pick<Tile, 'rows' | 'vectors' | 'left' | 'prefetch' | 'touch'> & { inputs: number; block: number },
): void {
  const { rows, vectors } = tile;
  const right = { base: rsi, step: vectors * code.lanes, bytes: true };
  zeroSums(code, tile);
  const addBlock = (depth: number): void => {
    emitProduct(code, { ...tile, right, depth, depthIn: 'code', counter: rcx });
    for (let row = 0; row < rows; row++) {
      for (let vector = 0; vector < vectors; vector++) {
        const sum = sumAt(tile, row, vector);
        code.op('mul', sum, sum, { base: rsi, displacement: vector * code.lanes * 4 });
      }
    }
    code.addImmediate(rsi, vectors * code.lanes * 4);
  };
  repeat(code, { counter: rax, times: Math.floor(inputs / block) }, () => addBlock(block));
  if (inputs % block > 0) addBlock(inputs % block);
}

/** x = gelu(x) with the four registers from `free` on. */
function emitGelu(code: Assembler, x: number, free: number): void {
  const [gate, square, a, b] = [0, 1, 2, 3].map((i) => free + i);
  emitGeluGate(code, x, { gate, square, a, b });
  code.op('mul', x, x, gate);
}
