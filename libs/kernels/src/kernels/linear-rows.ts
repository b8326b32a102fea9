/**
 * A linear map of few rows, y = act(x W + b) + r, on a matrix laid out in panels (`panelsOf`): what a decoding step does.
 * Such a product is bound by reading the matrix, so each panel is read once for all rows, and the next is fetched meanwhile. Hence
 * matrices in 8 bits, too: they are widened in registers, and x and the sums stay float32.
 */
import { type Assembler } from '../assembler';
import { type Label, r10, r11, r12, r13, r14, r15, r8, r9, rax, rbp, rbx, rcx, rdi, rdx, rsi, rsp, type Vec, type VectorExtension } from '../encoding'; // prettier-ignore
import { assembleKernel, type Kernel } from '../kernel';
import { emitProduct, lineBytes, mostRows, sumAt, type Tile, type Touch, unrolled, zeroSums } from '../tile';
import { emitGeluGate } from './gelu';
import { type Panel, repeat } from './packing';
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
const taskBytes = { float32: 128 * 1024, int8: 32 * 1024 };
/** Tasks for each thread at most: one that is held up leaves the others something to do. */
const tasksPerThread = 8;
/** Bytes ahead: as far as reading gets until memory answers. */
const prefetch = 16384;

/** (x [rows, inputs], panels, in words if in 8 bits, b [outputs], r where there is one) → y [rows, outputs] */
export function linearRowsKernel(extension: VectorExtension, spec: LinearRowsSpec): Kernel {
  const { rows, inputs, outputs, block, threads, residual = false } = spec;
  const { panel, columns, count, last, bytes } = panelsOf(extension, spec);
  const panels = count + (last ? 1 : 0);
  const type = block === undefined ? 'float32' : 'int8';
  const wanted = Math.ceil((panels * bytes) / taskBytes[type]);
  const most = Math.min(panels, Math.max(threads, Math.min(wanted, threads * tasksPerThread)));
  const own = Math.ceil(panels / most);
  const tasks = Math.ceil(panels / own);
  const width = 4 * columns;
  const rowTiles = rowTilesOf(extension, rows);
  const passes = rowTiles.reduce((sum, { times }) => sum + times, 0);
  /** While there is more than one tile to each panel, they fetch the next one. */
  const touch: Touch | undefined = passes > 1 ? { base: rdi, step: lineBytes, stepIn: 'code', lines: Math.ceil((unrolled * columns * (type === 'int8' ? 1 : 4)) / lineBytes / passes) } : undefined; // prettier-ignore

  const emit = (code: Assembler): void => {
    const [next, done]: Label[] = [{}, {}];
    [r8, r9, r10, r11, r12].slice(0, residual ? 5 : 4).forEach((register, i) => {
      code.mov(register, { base: rdi, displacement: 8 * i });
    });
    const [x, matrix, bias] = [r8, r9, r10];
    const y = residual ? r12 : r11;
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
        emitRows(code, { ...spec, panel: one, rows: tileRows, y, touch });
        code.addImmediate(rbx, tileRows * inputs * 4);
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
  return assembleKernel(extension, {
    name: 'LinearRows',
    inputs: ['float32', type === 'int8' ? 'int32' : 'float32', 'float32', ...(residual ? ['float32' as const] : [])],
    outputs: [{ type: 'float32', shape: [rows, outputs] }],
    phases: [{ tasks, emit, ...(touch && { stack: 64 }) }],
  });
}

/** Rows in tiles of equal size, but for the last. */
function rowTilesOf(extension: VectorExtension, rows: number): { tileRows: number; times: number }[] {
  const most = mostRows({ registers: extension === 'avx512' ? 32 : 16 }, 2);
  const tileRows = Math.ceil(rows / Math.ceil(rows / most));
  const rest = rows % tileRows;
  return [{ tileRows, times: Math.floor(rows / tileRows) }, ...(rest > 0 ? [{ tileRows: rest, times: 1 }] : [])];
}

/** Place on the stack: how far the next panel has been fetched. */
const touched = { base: rsp };

/** One tile: rows from rbx on, the panel at r9; y and r at the offset rbp. */
function emitRows(
  code: Assembler,
  {
    panel: { vectors, last },
    rows,
    inputs,
    outputs,
    block,
    activation,
    residual,
    y,
    touch,
  }: LinearRowsSpec & { panel: Panel; y: number; touch: Touch | undefined },
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
    left: { base: rdx, step: 4, rowStride: inputs * 4 },
    ...(touch ? { touch } : { prefetch }),
  };
  if (block === undefined) {
    forEachSum(loadBias);
    const right = { base: rsi, step: vectors * code.lanes * 4 };
    emitProduct(code, { ...product, right, depth: inputs, depthIn: 'code', counter: rcx });
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
