/**
 * The gradient of causal self-attention. A task is one head of one sequence.
 * Method, for a block of keys, as many as fit two vectors, and queries block after block from there on, with the keys side by side:
 *   p = 2^(score − largest) / Σ, from q and k again;  dp = dy · v;  ds = p (dp − Σ_d dy_d y_d) / √D
 *   dq += ds · k;  dk += dsᵀ · q;  dv += pᵀ · dy
 * Sums are in the order of the queries (dk, dv) or keys (dq), and what causality leaves out is never read.
 * Reference: Dao et al., FlashAttention, 2022 (arXiv 2205.14135), appendix B.
 */
import { type Assembler } from '../assembler';
import { type Gpr, type Label, r10, r11, r8, r9, rax, rcx, rdi, rdx, rsi, type VectorExtension } from '../encoding'; // prettier-ignore
import { assembleKernel, type Kernel } from '../kernel';
import { countDown, emitLoad, emitStore } from '../lanes';
import { emitPowerOfTwo } from '../mathematics';
import { emitProduct, sumAt, type Tile, zeroSums } from '../tile';
import { emitTransposedCopy } from '../transposed-copy';
import { dqkv, dy, firstKey, firstQuery, gradientContext, type GradientContext, qkv, scratch, statistics } from './attention-gradient-context'; // prettier-ignore
import { emitDKeysBelow, emitDKeysOnDiagonal } from './attention-gradient-keys';
import { type AttentionShape, eachSum, emitHeadPointers, loadPowerConstants, panelMask, powerRegisters } from './attention-geometry'; // prettier-ignore
import { emitTriangle } from './attention-triangle';

/** Addresses that belong to the first query of a tile: in qkv, dy, dqkv and the statistics; its rows of p; its Σ dy y. */
const [queryAt, dyAt, dqAt, statisticsAt, weightsRow, rowSumAt] = [r8, r9, r10, r11, rax, rdx];

/** (qkv, y, statistics, dy), as `selfAttentionKernel` has them → dqkv [B·T, 3C]. */
export function selfAttentionGradientKernel(extension: VectorExtension, shape: AttentionShape): Kernel {
  const { batch, length, heads, size } = shape;
  const context = gradientContext(extension, shape);
  const { block, qkvRow, yRow, scratchBytes } = context;
  const inQkv = { sequence: length * qkvRow, head: 4 * size };
  const inY = { sequence: length * yRow, head: 4 * size };
  return assembleKernel(extension, {
    name: 'SelfAttentionGradient',
    inputs: ['float32', 'float32', 'float32', 'float32'],
    outputs: [{ type: 'float32', shape: [batch * length, 3 * heads * size] }],
    phases: [
      {
        tasks: batch * heads,
        stack: scratchBytes,
        emit: (code) => {
          emitHeadPointers(code, heads, [
            { target: qkv, place: 0, stride: inQkv },
            { target: r9, place: 1, stride: inY },
            { target: statistics, place: 2, stride: { task: 8 * length } },
            { target: dy, place: 3, stride: inY },
            { target: dqkv, place: 4, stride: inQkv },
          ]);
          emitRowSums(code, context, r9);
          const whole = length - (length % block);
          code.movImmediate(firstKey, 0);
          if (whole > 0) {
            const next: Label = {};
            code.place(next);
            emitBlock(code, context, block);
            code.addImmediate(firstKey, block);
            code.compareImmediate(firstKey, whole);
            code.jumpIf('less', next);
          }
          if (length > whole) emitBlock(code, context, length - whole);
        },
      },
    ],
  });
}

/** Σ_d dy_d y_d of every query, and zeros for dq to begin with. */
function emitRowSums(code: Assembler, context: GradientContext, y: Gpr): void {
  const { length, size, panels, lanes, rowSumsAt, yRow, qkvRow } = context;
  const [sum, a, b, zero] = [0, 1, 2, 3];
  const mask = panelMask(code, panels.at(-1)!, rax);
  code.lea(rdi, { base: dy });
  code.lea(r10, { base: dqkv });
  code.lea(rdx, { base: scratch, displacement: rowSumsAt });
  code.zero(zero);
  countDown(code, { counter: rcx, count: length }, () => {
    code.zero(sum);
    const vectors = Math.ceil(size / lanes);
    for (let vector = 0; vector < vectors; vector++) {
      const displacement = 4 * lanes * vector;
      const part = vector === vectors - 1 ? mask : undefined;
      emitLoad(code, a, { base: y, displacement }, part);
      emitLoad(code, b, { base: rdi, displacement }, part);
      code.op('fma231', sum, a, b);
      emitStore(code, { base: r10, displacement }, zero, part);
    }
    code.reduce('add', sum, sum, a);
    code.opOne('mul', sum, sum, code.number(1 / Math.sqrt(size)));
    code.storeOne({ base: rdx }, sum);
    code.addImmediate(y, yRow);
    code.addImmediate(rdi, yRow);
    code.addImmediate(r10, qkvRow);
    code.addImmediate(rdx, 4);
  });
}

/** dk and dv of `count` keys from `firstKey` on, and what they add to dq. */
function emitBlock(code: Assembler, context: GradientContext, count: number): void {
  const { size, length, block, part, qkvRow, keysAt, valuesAt } = context;
  const scale = 1 / Math.sqrt(size);
  const copies = [
    { from: part, to: keysAt, factor: scale * Math.LOG2E },
    { from: 2 * part, to: valuesAt, factor: scale },
  ];
  for (const { from, to, factor } of copies) {
    code.mulImmediate(rsi, firstKey, qkvRow);
    code.addGpr(rsi, qkv);
    code.addImmediate(rsi, from);
    code.lea(rdi, { base: scratch, displacement: to });
    emitTransposedCopy(code, { source: rsi, rowStride: qkvRow, rows: count, columns: size, target: rdi, factor, counter: rcx, scratch: rax }); // prettier-ignore
  }
  const { first } = temporaries(context);
  loadPowerConstants(code, first);
  code.movTo(firstQuery, firstKey);
  emitDiagonal(code, context, count);
  if (count < block) return; // the last one
  const whole = length - (length % block);
  const advance = (): void => {
    code.mov(rcx, firstQuery);
    code.addImmediate(rcx, block);
    code.movTo(firstQuery, rcx);
  };
  advance();
  if (whole > block) {
    const [next, done]: Label[] = [{}, {}];
    code.place(next);
    code.compareImmediate(rcx, whole);
    code.jumpIf('equal', done);
    emitBelow(code, context, block);
    advance();
    code.jump(next);
    code.place(done);
  }
  if (length > whole) emitBelow(code, context, length - whole);
}

/** Registers behind those of a tile's sums: two numbers of a query, and those of `emitPowerOfTwo`, which stay. */
const temporaries = ({ rows }: GradientContext) => ({
  largest: 2 * rows,
  inverse: 2 * rows + 1,
  a: 2 * rows + 2,
  b: 2 * rows + 3,
  first: 2 * rows + 4,
});

function emitTilePointers(code: Assembler, { qkvRow, yRow, rowSumsAt, weightsAt }: GradientContext): void {
  code.mov(rcx, firstQuery);
  code.mulImmediate(dqAt, rcx, qkvRow);
  code.lea(queryAt, { base: dqAt, index: qkv });
  code.addGpr(dqAt, dqkv);
  code.mulImmediate(dyAt, rcx, yRow);
  code.addGpr(dyAt, dy);
  code.lea(statisticsAt, { base: statistics, index: rcx, scale: 4 });
  code.lea(rowSumAt, { base: scratch, index: rcx, scale: 4, displacement: rowSumsAt });
  code.lea(weightsRow, { base: scratch, displacement: weightsAt });
}

function advanceTile(code: Assembler, { qkvRow, yRow, blockRow }: GradientContext, rows: number): void {
  const strides: [Gpr, number][] = [[dqAt, qkvRow], [queryAt, qkvRow], [dyAt, yRow], [statisticsAt, 4], [rowSumAt, 4], [weightsRow, blockRow]]; // prettier-ignore
  for (const [pointer, stride] of strides) code.addImmediate(pointer, rows * stride);
}

/** The queries of the block itself, each with the keys up to its own. */
function emitDiagonal(code: Assembler, context: GradientContext, count: number): void {
  emitTilePointers(code, context);
  for (let query = 0; query < count; query += context.rows) {
    const rows = Math.min(context.rows, count - query);
    emitDScores(code, context, { rows, vectors: query < context.lanes ? 1 : 2 });
    emitDQueries(code, context, { rows, keys: query, diagonal: true });
    advanceTile(code, context, rows);
  }
  for (let key = 0; key < count; key += context.rows) emitDKeysOnDiagonal(code, context, { key, count });
}

/** `count` queries that stand after all keys of the block. */
function emitBelow(code: Assembler, context: GradientContext, count: number): void {
  const { block, rows, blockRow, weightsAt } = context;
  const tiles = (some: number): void => {
    emitDScores(code, context, { rows: some, vectors: 2 });
    emitDQueries(code, context, { rows: some, keys: block, diagonal: false });
  };
  emitTilePointers(code, context);
  const whole = count - (count % rows);
  if (whole > 0) {
    const next: Label = {};
    code.place(next);
    tiles(rows);
    advanceTile(code, context, rows);
    code.lea(rcx, { base: scratch, displacement: weightsAt + whole * blockRow });
    code.compare(weightsRow, rcx);
    code.jumpIf('below', next);
  }
  if (count > whole) tiles(count - whole);
  emitDKeysBelow(code, context, count);
}

/** p and ds of a tile of queries. */
function emitDScores(
  code: Assembler,
  context: GradientContext,
  { rows, vectors }: Pick<Tile, 'rows' | 'vectors'>,
): void {
  const { size, length, lanes, qkvRow, yRow, blockRow, keysAt, valuesAt, weightsAt, dScoresAt } = context;
  const { largest, inverse, a, b, first } = temporaries(context);
  const registers = powerRegisters(code, { a, b, first });
  const shape = { rows, vectors, right: { base: rdi, step: blockRow }, depth: size, depthIn: 'code', counter: rcx } as const; // prettier-ignore
  const place = (row: number, vector: number) => ({ base: weightsRow, displacement: row * blockRow + 4 * lanes * vector }); // prettier-ignore
  code.lea(rsi, { base: queryAt });
  code.lea(rdi, { base: scratch, displacement: keysAt });
  zeroSums(code, shape);
  emitProduct(code, { ...shape, left: { base: rsi, step: 4, rowStride: qkvRow } });
  for (let row = 0; row < rows; row++) {
    code.broadcast(largest, { base: statisticsAt, displacement: 4 * row });
    code.broadcast(inverse, { base: statisticsAt, displacement: 4 * (length + row) });
    for (let vector = 0; vector < vectors; vector++) {
      const x = sumAt(shape, row, vector);
      code.op('sub', x, x, largest);
      emitPowerOfTwo(code, x, registers);
      code.op('mul', x, x, inverse);
      code.store(place(row, vector), x);
    }
  }
  code.lea(rsi, { base: dyAt });
  code.lea(rdi, { base: scratch, displacement: valuesAt });
  zeroSums(code, shape);
  emitProduct(code, { ...shape, left: { base: rsi, step: 4, rowStride: yRow } });
  for (let row = 0; row < rows; row++) {
    code.broadcast(a, { base: rowSumAt, displacement: 4 * row });
    for (let vector = 0; vector < vectors; vector++) {
      const [x, at] = [sumAt(shape, row, vector), place(row, vector)];
      code.op('sub', x, x, a);
      code.op('mul', x, x, at);
      code.store({ ...at, displacement: at.displacement + dScoresAt - weightsAt }, x);
    }
  }
}

interface DQueries {
  readonly rows: number;
  /** Keys that every query has. */
  readonly keys: number;
  /** Whether the keys after them belong to the same tokens as the queries. */
  readonly diagonal: boolean;
}

/** dq += ds · k for a tile of queries. */
function emitDQueries(code: Assembler, context: GradientContext, { rows, keys, diagonal }: DQueries): void {
  const { qkvRow, part, blockRow, lanes, panels, weightsAt, dScoresAt } = context;
  for (const panel of panels) {
    const { vectors, first } = panel;
    const mask = panelMask(code, panel, rcx);
    const tile: Tile = {
      rows,
      vectors,
      left: { base: rsi, step: 4, rowStride: blockRow },
      right: { base: rdi, step: qkvRow },
      depth: keys,
      depthIn: 'code',
      counter: rcx,
      mask,
    };
    code.lea(rsi, { base: weightsRow, displacement: dScoresAt - weightsAt });
    code.mulImmediate(rdi, firstKey, qkvRow);
    code.lea(rdi, { base: rdi, index: qkv, displacement: part + 4 * lanes * first });
    const sums = { tile, place: { base: dqAt, displacement: 4 * lanes * first }, rowStride: qkvRow };
    eachSum(code, sums, (sum, place, part) => emitLoad(code, sum, place, part));
    if (keys > 0) emitProduct(code, tile);
    if (diagonal) emitTriangle(code, tile, 'up to the row');
    eachSum(code, sums, (sum, place, part) => emitStore(code, place, sum, part));
  }
}
