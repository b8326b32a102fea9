/** The block of C that a task of a matrix product has: laying out B and A, and going from tile to tile. */
import { type Assembler } from '../assembler';
import { type Gpr, type Label, type Memory, r10, r11, r12, r13, r14, r15, r8, r9, rax, rbp, rbx, rcx, rdi, rdx, rsi, rsp } from '../encoding'; // prettier-ignore
import { type GemmSpec, type Plan, type Step } from './gemm-plan';
import { emitTile } from './gemm-tile';
import { type Touch, unrolled } from '../tile';
import { type Layout, repeat } from './packing';
import { layoutOf } from './packing-pairs';

/** Places on the stack. */
const slot = (nth: number): Memory => ({ base: rsp, displacement: 8 * nth });
const slots = { a: slot(0), b: slot(1), c: slot(2), addend: slot(3), panels: slot(4), lastPanel: slot(5), tiles: slot(6), lastTile: slot(7) }; // prettier-ignore
const slotBytes = 128;

/** The code of a task. */
export class GemmBlock {
  /** Bytes of a row of A, B and C in memory. */
  private readonly strides: { readonly a: number; readonly b: number; readonly c: number };
  private readonly layout: Layout;
  private readonly packA: boolean;
  private readonly tileBytes: number;

  constructor(
    private readonly spec: GemmSpec,
    private readonly plan: Plan,
  ) {
    const { rows, columns, depth, transposeA, transposeB } = spec;
    this.strides = { a: 4 * (transposeA ? rows : depth), b: 4 * (transposeB ? depth : columns), c: 4 * columns };
    this.layout = layoutOf(spec.precision);
    // Rows that lie multiples of a page apart fall on the same few places of the first-level cache.
    this.packA = this.layout.terms > 1 || transposeA === true || this.strides.a % 4096 === 0;
    const tileBytes = transposeA
      ? Math.ceil(plan.tileRows / plan.lanes) * plan.lanes * this.stepsOf(plan.depths[0]) * 4
      : plan.tileRows * this.packedRowBytes(plan.depths[0]);
    this.tileBytes = this.packA ? Math.ceil(tileBytes / 64) * 64 : 0;
  }

  private stepsOf(depth: number): number {
    return Math.ceil(depth / this.layout.terms);
  }

  /** Of A where it is not transposed. A line lies between rows, for they would be multiples of a page apart. */
  private packedRowBytes(depth: number): number {
    return this.layout.rowBytes(depth) + 64;
  }

  get stack(): number {
    const { blockPanels, panel, depths } = this.plan;
    return slotBytes + this.tileBytes + blockPanels * panel.vectors * this.plan.lanes * this.stepsOf(depths[0]) * 4;
  }

  private get panelBytes(): number {
    return this.plan.panel.vectors * this.plan.lanes * 4;
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
    const { bias, added, transposeA, transposeB } = this.spec;
    const { columnBlocks, rowBlocks, blockPanels, blockTiles, panels, tiles, lastPanel, lastRows, tileRows } =
      this.plan;
    code.mov(r8, { base: rdi });
    code.mov(r9, { base: rdi, displacement: 8 });
    if (bias || added) code.mov(r11, { base: rdi, displacement: 16 });
    code.mov(r10, { base: rdi, displacement: bias || added ? 24 : 16 });
    if (added) code.subGpr(r11, r10); // how far from C
    code.mov(rax, rsi);
    code.movImmediate(rcx, columnBlocks);
    code.divide(rcx); // rax = block of rows, rdx = block of columns
    code.mulImmediate(rcx, rdx, blockPanels * this.panelBytes);
    code.addGpr(r10, rcx);
    if (bias) code.addGpr(r11, rcx);
    code.mulImmediate(rcx, rdx, blockPanels * (transposeB ? (this.panelBytes / 4) * this.strides.b : this.panelBytes));
    code.addGpr(r9, rcx);
    code.mulImmediate(rcx, rax, blockTiles * tileRows * (transposeA ? 4 : this.strides.a));
    code.addGpr(r8, rcx);
    code.mulImmediate(rcx, rax, blockTiles * tileRows * this.strides.c);
    code.addGpr(r10, rcx);
    code.movTo(slots.a, r8);
    code.movTo(slots.b, r9);
    code.movTo(slots.c, r10);
    code.movTo(slots.addend, r11);
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
        this.layout.columns(code, { panel, depth, stride }, packing);
        code.addImmediate(rbx, (this.panelBytes / 4) * stride);
      });
    } else {
      this.emitRowPacking(code, depth);
    }
    if (lastPanel)
      once(code, slots.lastPanel, () => {
        code.mov(rax, rbx);
        (transposeB ? this.layout.columns : this.layout.rows)(code, { panel: lastPanel, depth, stride }, packing);
      });
  }

  /**
   * Copies row after row of B, as they lie in memory, or pairs of rows, to their place in each of the panels. Takes rbx to the panel
   * behind, rsi to its place.
   */
  private emitRowPacking(code: Assembler, depth: number): void {
    const [row, target] = [r8, r9];
    const done: Label = {};
    code.mov(row, rbx);
    code.mov(target, rsi);
    code.mov(r13, slots.panels);
    code.compareImmediate(r13, 0);
    code.jumpIf('lessOrEqual', done);
    const { terms, across } = this.layout;
    const { vectors } = this.plan.panel;
    const copy = across(code, { source: rax, target: rsi, vectors, stride: this.strides.b });
    const emitSteps = (rows: number): void => {
      const next: Label = {};
      code.mov(rax, row);
      code.mov(rsi, target);
      code.mov(r13, slots.panels);
      code.place(next);
      copy(rows);
      code.addImmediate(rax, this.panelBytes);
      code.addImmediate(rsi, this.stepsOf(depth) * this.panelBytes);
      code.addImmediate(r13, -1);
      code.jumpIf('notEqual', next);
      code.addImmediate(row, rows * this.strides.b);
      code.addImmediate(target, this.panelBytes);
    };
    repeat(code, { counter: rcx, times: Math.floor(depth / terms) }, () => emitSteps(terms));
    if (depth % terms > 0) emitSteps(depth % terms);
    code.mov(r13, slots.panels);
    code.mulImmediate(rax, r13, this.panelBytes);
    code.addGpr(rbx, rax);
    code.lea(rsi, { base: rsi, displacement: -(this.stepsOf(depth) - 1) * this.panelBytes }); // the row before the last's end
    code.place(done);
  }

  /** All tiles of so many rows of A, from r8 on; those of C begin at r10. */
  private emitTiles(code: Assembler, step: Step, rows: number): void {
    const { panel, lastPanel } = this.plan;
    const left = this.emitLeft(code, step, rows);
    code.lea(rsi, { base: rsp, displacement: slotBytes + this.tileBytes });
    code.mov(rdi, r10);
    code.mov(r15, slots.addend);
    if (this.spec.added) code.addGpr(r15, r10);
    const { touch, advance } = this.emitTouches(code, step, rows);
    counted(code, { counter: r13, count: slots.panels }, () => {
      emitTile(code, this.spec, { ...step, rows, panel, left, touch });
      code.addImmediate(rdi, this.panelBytes);
      code.addImmediate(r15, this.panelBytes);
      advance();
    });
    if (lastPanel)
      once(code, slots.lastPanel, () => emitTile(code, this.spec, { ...step, rows, panel: lastPanel, left, touch }));
  }

  /** What of the next tile's rows is fetched, if any is, while this one's are multiplied, a share with each panel. Takes r9, rbx and r11. */
  private emitTouches(code: Assembler, { depth }: Step, rows: number): { touch?: Touch; advance: () => void } {
    // A tile takes twice as long with AVX2, and on a Zen 1 the fetches halved a product whose rows lie pages apart.
    if (code.extension === 'avx2') return { advance: () => {} };
    const { blockPanels } = this.plan;
    const terms = unrolled * this.layout.terms; // of a round of the loop
    if (!this.spec.transposeA) {
      const lines = Math.min(unrolled, Math.ceil(rows / blockPanels));
      code.lea(r9, { base: r8, displacement: rows * this.strides.a });
      const touch = { base: r9, step: 4 * terms, stepIn: 'code', lines, apart: this.strides.a } as const;
      const toNext = lines * this.strides.a - Math.floor(this.stepsOf(depth) / unrolled) * touch.step;
      return { touch, advance: () => code.addImmediate(r9, toNext) };
    }
    // Of each row the last line: the first one is this tile's, too.
    const lines = Math.min(unrolled, Math.ceil(terms / blockPanels));
    code.lea(r9, { base: r8, displacement: 4 * (2 * rows - 1) });
    code.movImmediate(rbx, this.strides.a);
    code.movImmediate(r11, Math.ceil(terms / lines));
    const advance = (): void => {
      const on: Label = {};
      code.addImmediate(r11, -1);
      code.jumpIf('notEqual', on);
      code.movImmediate(rbx, 0); // all have been fetched
      code.place(on);
    };
    return { touch: { base: r9, step: rbx, stepIn: 'register', lines }, advance };
  }

  /** Has r12 point to rows of A, laid out on the stack where that pays; says how they lie there. */
  private emitLeft(code: Assembler, { depth }: Step, rows: number): { step: number; rowStride: number } {
    if (!this.packA) {
      code.mov(r12, r8);
      return { step: 4, rowStride: this.strides.a };
    }
    const { lanes } = this.plan;
    code.lea(r12, { base: rsp, displacement: slotBytes });
    code.mov(rax, r8);
    code.mov(rsi, r12);
    const packing = { source: rax, target: rsi, counter: rcx, scratch: rdx };
    if (this.spec.transposeA) {
      // Rows of a tile lie side by side: each store overwrites what the one before had too much.
      const vectors = Math.ceil(rows / lanes);
      const panel = { vectors, last: rows - (vectors - 1) * lanes };
      this.layout.rows(code, { panel, depth, stride: this.strides.a }, packing);
      return { step: vectors * lanes * 4, rowStride: 4 };
    }
    const rowStride = this.packedRowBytes(depth);
    this.layout.along(code, { rows, depth, stride: this.strides.a, rowStride }, packing);
    return { step: 4, rowStride };
  }
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
