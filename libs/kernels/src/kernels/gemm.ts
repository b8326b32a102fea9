/**
 * Matrix products, C = op(A) op(B) (+ b), for fixed shapes.
 *
 * Method (Goto and van de Geijn 2008): a task computes a block of C. Step by step along the depth it lays its part of B out in
 * panels, on its stack, where they stay in the cache; then tile after tile of A goes along them.
 * Every number of C is the sum of its terms in the order of the depth, whatever block, tile or thread it is in.
 * Leaves out: batches, and factors alpha and beta.
 */
import { type Assembler } from '../assembler';
import { type Gpr, type Label, type Memory, r10, r11, r12, r13, r14, r15, r8, r9, rax, rbp, rbx, rcx, rdi, rdx, rsi, rsp, type VectorExtension } from '../encoding'; // prettier-ignore
import { assembleKernel, type Kernel } from '../kernel';
import { emitProduct, mostRows, sumAt, zeroSums } from '../tile';
import { packColumns, type Panel, packRows, repeat } from './packing';

export interface GemmSpec {
  /** C is [rows, columns]. */
  readonly rows: number;
  readonly columns: number;
  /** Terms of each sum. */
  readonly depth: number;
  /** A is [depth, rows] in memory, instead of [rows, depth]. */
  readonly transposeA?: boolean;
  /** B is [columns, depth] in memory, instead of [depth, columns]. */
  readonly transposeB?: boolean;
  /** Whether b [columns] is added to every row. */
  readonly bias?: boolean;
  /** Threads that there are: blocks are so many that all have work. Results do not depend on it. */
  readonly threads: number;
}

/** (A, B, b where there is one) → C */
export function gemmKernel(extension: VectorExtension, spec: GemmSpec): Kernel {
  const { rows, columns, bias = false, transposeA = false, transposeB = false } = spec;
  return assembleKernel(extension, {
    name: `Gemm${transposeA ? 'T' : 'N'}${transposeB ? 'T' : 'N'}`,
    inputs: Array.from({ length: bias ? 3 : 2 }, () => 'float32' as const),
    outputs: [{ type: 'float32', shape: [rows, columns] }],
    phases: [gemmPhase(extension, spec)],
  });
}

/** Vectors in a panel of B. */
const panelVectors = 2;
/** Bytes of B laid out at a time: half of a usual second-level cache. */
const packedBytes = 512 * 1024;
const mostDepth = 512;

/** How a product is cut. */
interface Plan {
  /** Rows of a tile, of a block, and of the last tile where it is smaller (else 0). */
  readonly tileRows: number;
  readonly lastRows: number;
  readonly tiles: number;
  readonly blockTiles: number;
  readonly rowBlocks: number;
  readonly panel: Panel;
  /** The last panel where it is narrower. */
  readonly lastPanel: Panel | undefined;
  readonly panels: number;
  readonly blockPanels: number;
  readonly columnBlocks: number;
  /** Terms of each step along the depth. */
  readonly depths: readonly number[];
}

function planOf(extension: VectorExtension, { rows, columns, depth, threads, transposeA }: GemmSpec): Plan {
  const lanes = extension === 'avx512' ? 16 : 8;
  const registers = extension === 'avx512' ? 32 : 16;
  const vectors = Math.min(panelVectors, Math.ceil(columns / lanes));
  const most = mostRows({ registers }, vectors);
  const tileRows = Math.ceil(rows / Math.ceil(rows / most));
  const tiles = Math.floor(rows / tileRows);
  const width = vectors * lanes;
  const panels = Math.floor(columns / width);
  const rest = columns % width;
  const lastVectors = Math.ceil(rest / lanes);
  const allPanels = panels + (rest > 0 ? 1 : 0);
  const steps = Math.ceil(depth / mostDepth);
  const stepDepth = Math.ceil(depth / steps / 16) * 16;
  const depths = Array.from({ length: Math.ceil(depth / stepDepth) }, (_, i) =>
    Math.min(stepDepth, depth - i * stepDepth),
  );
  const mostPanels = Math.max(1, Math.floor(packedBytes / (depths[0] * width * 4)));
  const allTiles = Math.ceil(rows / tileRows);
  // Each block of columns lays A out anew where that is needed, each block of rows B: the cheaper cut comes first.
  const cutRows = transposeA && threads * columns + rows < threads * rows + columns;
  const fewestColumns = Math.ceil(allPanels / mostPanels);
  const columnBlocks = Math.min(allPanels, cutRows ? fewestColumns : threads * Math.ceil(fewestColumns / threads));
  const blockPanels = Math.ceil(allPanels / columnBlocks);
  const rowBlocks = Math.min(allTiles, Math.ceil(threads / Math.ceil(allPanels / blockPanels)));
  const blockTiles = Math.ceil(allTiles / rowBlocks);
  return {
    tileRows,
    lastRows: rows % tileRows,
    tiles,
    blockTiles,
    rowBlocks: Math.ceil(allTiles / blockTiles),
    panel: { vectors, last: lanes },
    lastPanel: rest > 0 ? { vectors: lastVectors, last: rest - (lastVectors - 1) * lanes } : undefined,
    panels,
    blockPanels,
    columnBlocks: Math.ceil(allPanels / blockPanels),
    depths,
  };
}

/** Places on the stack. */
const slot = (nth: number): Memory => ({ base: rsp, displacement: 8 * nth });
const slots = { a: slot(0), b: slot(1), c: slot(2), bias: slot(3), panels: slot(4), lastPanel: slot(5), tiles: slot(6), lastTile: slot(7) }; // prettier-ignore
const slotBytes = 128;

function gemmPhase(extension: VectorExtension, spec: GemmSpec) {
  const plan = planOf(extension, spec);
  const context = new GemmEmitter(extension, spec, plan);
  return {
    tasks: plan.rowBlocks * plan.columnBlocks,
    stack: context.stack,
    emit: (code: Assembler) => context.emit(code),
  };
}

class GemmEmitter {
  private readonly lanes: number;
  /** Bytes of a row of A, B and C in memory. */
  private readonly strides: { readonly a: number; readonly b: number; readonly c: number };
  private readonly packA: boolean;
  private readonly tileBytes: number;

  constructor(
    extension: VectorExtension,
    private readonly spec: GemmSpec,
    private readonly plan: Plan,
  ) {
    this.lanes = extension === 'avx512' ? 16 : 8;
    const { rows, columns, depth, transposeA, transposeB } = spec;
    this.strides = { a: 4 * (transposeA ? rows : depth), b: 4 * (transposeB ? depth : columns), c: 4 * columns };
    // Rows that lie multiples of a page apart fall on the same few places of the first-level cache.
    this.packA = transposeA === true || this.strides.a % 4096 === 0;
    const tileFloats = transposeA
      ? Math.ceil(plan.tileRows / this.lanes) * this.lanes * plan.depths[0]
      : plan.tileRows * (plan.depths[0] + 32);
    this.tileBytes = this.packA ? Math.ceil((tileFloats * 4) / 64) * 64 : 0;
  }

  get stack(): number {
    const { blockPanels, panel, depths } = this.plan;
    return slotBytes + this.tileBytes + blockPanels * panel.vectors * this.lanes * depths[0] * 4;
  }

  private get panelBytes(): number {
    return this.plan.panel.vectors * this.lanes * 4;
  }

  emit(code: Assembler): void {
    this.emitBlock(code);
    const { depths } = this.plan;
    this.emitDepth(code, { depth: depths[0], first: true });
    const last = depths.at(-1)!;
    const between = depths.length - (last === depths[0] ? 1 : 2);
    if (between > 0) {
      const again: Label = {};
      code.movImmediate(rbp, between);
      code.place(again);
      this.emitDepth(code, { depth: depths[0], first: false });
      code.addImmediate(rbp, -1);
      code.jumpIf('notEqual', again);
    }
    if (last !== depths[0]) this.emitDepth(code, { depth: last, first: false });
  }

  /** Finds the block of the task: where it begins in A, B, C and b, how many panels and tiles it has. */
  private emitBlock(code: Assembler): void {
    const { bias, transposeA, transposeB } = this.spec;
    const { columnBlocks, rowBlocks, blockPanels, blockTiles, panels, tiles, lastPanel, lastRows, tileRows } =
      this.plan;
    code.mov(r8, { base: rdi });
    code.mov(r9, { base: rdi, displacement: 8 });
    if (bias) code.mov(r11, { base: rdi, displacement: 16 });
    code.mov(r10, { base: rdi, displacement: bias ? 24 : 16 });
    code.mov(rax, rsi);
    code.movImmediate(rcx, columnBlocks);
    code.divide(rcx); // rax = block of rows, rdx = block of columns
    code.mulImmediate(rcx, rdx, blockPanels * this.panelBytes);
    code.addGpr(r10, rcx);
    code.addGpr(r11, rcx);
    code.mulImmediate(rcx, rdx, blockPanels * (transposeB ? (this.panelBytes / 4) * this.strides.b : this.panelBytes));
    code.addGpr(r9, rcx);
    code.mulImmediate(rcx, rax, blockTiles * tileRows * (transposeA ? 4 : this.strides.a));
    code.addGpr(r8, rcx);
    code.mulImmediate(rcx, rax, blockTiles * tileRows * this.strides.c);
    code.addGpr(r10, rcx);
    code.movTo(slots.a, r8);
    code.movTo(slots.b, r9);
    code.movTo(slots.c, r10);
    code.movTo(slots.bias, r11);
    this.emitCount(code, rdx, { blocks: columnBlocks, own: blockPanels, whole: panels, rest: lastPanel !== undefined, slots: [slots.panels, slots.lastPanel] }); // prettier-ignore
    this.emitCount(code, rax, { blocks: rowBlocks, own: blockTiles, whole: tiles, rest: lastRows > 0, slots: [slots.tiles, slots.lastTile] }); // prettier-ignore
  }

  /** Of `whole` pieces and perhaps a smaller one, those that the block numbered `block` has; `own` unless it is the last. */
  private emitCount(
    code: Assembler,
    block: Gpr,
    {
      blocks,
      own,
      whole,
      rest,
      slots: [count, last],
    }: { blocks: number; own: number; whole: number; rest: boolean; slots: Memory[] },
  ): void {
    const done: Label = {};
    code.movImmediate(rcx, own);
    code.movTo(count, rcx);
    code.movImmediate(rcx, 0);
    code.movTo(last, rcx);
    code.compareImmediate(block, blocks - 1);
    code.jumpIf('notEqual', done);
    code.movImmediate(rcx, whole - (blocks - 1) * own);
    code.movTo(count, rcx);
    code.movImmediate(rcx, rest ? 1 : 0);
    code.movTo(last, rcx);
    code.place(done);
  }

  /** One step along the depth for the whole block. */
  private emitDepth(code: Assembler, step: Step): void {
    const { depth } = step;
    const { tileRows, lastRows } = this.plan;
    const { transposeA, transposeB } = this.spec;
    this.emitPacking(code, depth);
    code.mov(r8, slots.a);
    code.mov(r10, slots.c);
    counted(code, { counter: r14, count: slots.tiles }, () => {
      this.emitTiles(code, step, tileRows);
      code.addImmediate(r8, tileRows * (transposeA ? 4 : this.strides.a));
      code.addImmediate(r10, tileRows * this.strides.c);
    });
    if (lastRows > 0) once(code, slots.lastTile, () => this.emitTiles(code, step, lastRows));
    const advance = (place: Memory, bytes: number): void => {
      code.mov(rax, place);
      code.addImmediate(rax, bytes);
      code.movTo(place, rax);
    };
    advance(slots.a, depth * (transposeA ? this.strides.a : 4));
    advance(slots.b, depth * (transposeB ? 4 : this.strides.b));
  }

  private emitPacking(code: Assembler, depth: number): void {
    const { transposeB } = this.spec;
    const { panel, lastPanel } = this.plan;
    const { b: stride } = this.strides;
    const packing = { source: rax, target: rsi, counter: rcx, scratch: rdx };
    code.lea(rsi, { base: rsp, displacement: slotBytes + this.tileBytes });
    code.mov(rbx, slots.b);
    if (transposeB) {
      counted(code, { counter: r13, count: slots.panels }, () => {
        code.mov(rax, rbx);
        packColumns(code, { panel, depth, stride }, packing);
        code.addImmediate(rbx, (this.panelBytes / 4) * stride);
      });
    } else {
      this.emitRowPacking(code, depth);
    }
    if (lastPanel)
      once(code, slots.lastPanel, () => {
        code.mov(rax, rbx);
        (transposeB ? packColumns : packRows)(code, { panel: lastPanel, depth, stride }, packing);
      });
  }

  /**
   * Copies row after row of B, as they lie in memory, to its place in each of the panels. Takes rbx to the panel behind, rsi to its
   * place.
   */
  private emitRowPacking(code: Assembler, depth: number): void {
    const { vectors } = this.plan.panel;
    const [row, target] = [r8, r9];
    const done: Label = {};
    code.mov(row, rbx);
    code.mov(target, rsi);
    code.mov(r13, slots.panels);
    code.compareImmediate(r13, 0);
    code.jumpIf('lessOrEqual', done);
    repeat(code, { counter: rcx, times: depth }, () => {
      const next: Label = {};
      code.mov(rax, row);
      code.mov(rsi, target);
      code.mov(r13, slots.panels);
      code.place(next);
      for (let vector = 0; vector < vectors; vector++) {
        code.load(vector, { base: rax, displacement: vector * 4 * this.lanes });
        code.store({ base: rsi, displacement: vector * 4 * this.lanes }, vector);
      }
      code.addImmediate(rax, this.panelBytes);
      code.addImmediate(rsi, depth * this.panelBytes);
      code.addImmediate(r13, -1);
      code.jumpIf('notEqual', next);
      code.addImmediate(row, this.strides.b);
      code.addImmediate(target, this.panelBytes);
    });
    code.mov(r13, slots.panels);
    code.mulImmediate(rax, r13, this.panelBytes);
    code.addGpr(rbx, rax);
    code.lea(rsi, { base: rsi, displacement: -(depth - 1) * this.panelBytes }); // the row before the last's end
    code.place(done);
  }

  /** All tiles of so many rows of A, from r8 on; those of C begin at r10. */
  private emitTiles(code: Assembler, step: Step, rows: number): void {
    const { panel, lastPanel } = this.plan;
    const left = this.emitLeft(code, step, rows);
    code.lea(rsi, { base: rsp, displacement: slotBytes + this.tileBytes });
    code.mov(rdi, r10);
    code.mov(r15, slots.bias);
    counted(code, { counter: r13, count: slots.panels }, () => {
      this.emitTile(code, { ...step, rows, panel, left });
      code.addImmediate(rdi, this.panelBytes);
      code.addImmediate(r15, this.panelBytes);
    });
    if (lastPanel) once(code, slots.lastPanel, () => this.emitTile(code, { ...step, rows, panel: lastPanel, left }));
  }

  /** Has r12 point to rows of A, laid out on the stack where that pays; says how they lie there. */
  private emitLeft(code: Assembler, { depth }: Step, rows: number): { step: number; rowStride: number } {
    if (!this.packA) {
      code.mov(r12, r8);
      return { step: 4, rowStride: this.strides.a };
    }
    const { lanes } = this;
    code.lea(r12, { base: rsp, displacement: slotBytes });
    code.mov(rax, r8);
    code.mov(rsi, r12);
    if (this.spec.transposeA) {
      // Rows of a tile lie side by side: each store overwrites what the one before had too much.
      const vectors = Math.ceil(rows / lanes);
      packRows(
        code,
        { panel: { vectors, last: rows - (vectors - 1) * lanes }, depth, stride: this.strides.a },
        { source: rax, target: rsi, counter: rcx, scratch: rdx },
      );
      return { step: vectors * lanes * 4, rowStride: 4 };
    }
    const rowStride = (Math.ceil(depth / lanes) * lanes + 16) * 4;
    const copy = (load: (register: number, from: Memory) => void): void => {
      for (let row = 0; row < rows; row++) {
        load(row % 8, { base: rax, displacement: row * this.strides.a });
        code.store({ base: rsi, displacement: row * rowStride }, row % 8);
      }
    };
    repeat(code, { counter: rcx, times: Math.floor(depth / lanes) }, () => {
      copy((register, from) => code.load(register, from));
      code.addImmediate(rax, 4 * lanes);
      code.addImmediate(rsi, 4 * lanes);
    });
    if (depth % lanes > 0) {
      const mask = code.extension === 'avx512' ? 1 : code.registers - 1;
      code.setMask(mask, depth % lanes, rcx);
      copy((register, from) => code.loadMasked(register, from, mask));
    }
    return { step: 4, rowStride };
  }

  private emitTile(
    code: Assembler,
    {
      rows,
      panel,
      left,
      depth,
      first,
    }: Step & { rows: number; panel: Panel; left: { step: number; rowStride: number } },
  ): void {
    const { vectors, last } = panel;
    const vectorBytes = 4 * this.lanes;
    const partial = last < this.lanes;
    const mask = code.extension === 'avx512' ? 1 : code.registers - 1;
    const place = (row: number, vector: number): Memory => ({
      base: rdi,
      displacement: row * this.strides.c + vector * vectorBytes,
    });
    const cut = (vector: number): boolean => partial && vector === vectors - 1;
    const each = (body: (sum: number, row: number, vector: number) => void): void => {
      for (let row = 0; row < rows; row++)
        for (let vector = 0; vector < vectors; vector++) body(sumAt(panel, row, vector), row, vector);
    };
    if (first && this.spec.bias) {
      if (partial) code.setMask(mask, last, rax);
      each((sum, _, vector) => {
        const source = { base: r15, displacement: vector * vectorBytes };
        if (cut(vector)) code.loadMasked(sum, source, mask);
        else code.load(sum, source);
      });
    } else {
      zeroSums(code, { rows, vectors });
    }
    code.mov(rdx, r12);
    emitProduct(code, {
      rows,
      vectors,
      left: { base: rdx, ...left },
      right: { base: rsi, step: vectors * vectorBytes },
      depth,
      depthIn: 'code',
      counter: rcx,
    });
    const temporary = rows * vectors;
    if (partial) code.setMask(mask, last, rax);
    each((sum, row, vector) => {
      if (!first) {
        if (cut(vector)) {
          code.loadMasked(temporary, place(row, vector), mask);
          code.op('add', sum, sum, temporary);
        } else {
          code.op('add', sum, sum, place(row, vector));
        }
      }
      if (cut(vector)) code.storeMasked(place(row, vector), sum, mask);
      else code.store(place(row, vector), sum);
    });
  }
}

interface Step {
  readonly depth: number;
  /** Whether the sums begin here. */
  readonly first: boolean;
}

/** `body` as often as a place on the stack says, be it never. */
function counted(code: Assembler, { counter, count }: { counter: Gpr; count: Memory }, body: () => void): void {
  const [start, end]: Label[] = [{}, {}];
  code.mov(counter, count);
  code.compareImmediate(counter, 0);
  code.jumpIf('lessOrEqual', end);
  code.place(start);
  body();
  code.addImmediate(counter, -1);
  code.jumpIf('notEqual', start);
  code.place(end);
}

/** `body` if the place on the stack is not 0. */
function once(code: Assembler, flag: Memory, body: () => void): void {
  const end: Label = {};
  code.mov(rax, flag);
  code.compareImmediate(rax, 0);
  code.jumpIf('equal', end);
  body();
  code.place(end);
}
