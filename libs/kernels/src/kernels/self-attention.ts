/**
 * Causal self-attention of a transformer (Vaswani et al. 2017), straight from the projected qkv and without a T × T matrix of
 * weights in memory. A task is one head of one sequence.
 * Method: for a block of queries, as many as fit two vectors, 1. the scores of all keys up to the block's last, with the queries
 * side by side, and their maxima; 2. weights and their sums; 3. weights · v. Every number is a sum in the order of the keys, and
 * keys after the query are never read: a result does not depend on T, the batch or the threads.
 * Reference: Dao et al., FlashAttention, 2022 (arXiv 2205.14135), for keeping maxima and sums in place of the weights.
 * Leaves out: its rescaling of partial results, since the scores of a block of queries fit the cache.
 */
import { type Assembler } from '../assembler';
import { type Label, r12, r14, r15, r8, rax, rbp, rbx, rcx, rdi, rdx, rsi, rsp, type VectorExtension } from '../encoding'; // prettier-ignore
import { assembleKernel, type Kernel } from '../kernel';
import { emitStore, maskFor } from '../lanes';
import { emitPowerOfTwo } from '../mathematics';
import { emitProduct, sumAt, type Tile, zeroSums } from '../tile';
import { emitTransposedCopy } from '../transposed-copy';
import { type AttentionGeometry, type AttentionShape, attentionGeometry, eachSum, emitHeadPointers, loadPowerConstants, panelMask, powerRegisters } from './attention-geometry'; // prettier-ignore
import { emitTriangle } from './attention-triangle';

/** Addresses of the head's part of the tensors and of the table of masks; the number of the block's first query. */
const [qkv, y, statistics, table, first] = [rbx, rbp, r12, r15, r14];
/** What a task keeps is on its stack. */
const scratch = rsp;

interface Context extends AttentionShape, AttentionGeometry {
  /** Where it is on the stack, in bytes: qᵀ of a block, [D, block]. */
  readonly queriesAt: number;
  /** Scores, then weights of a block: [T, block]. */
  readonly weightsAt: number;
  readonly scratchBytes: number;
}

function contextOf(extension: VectorExtension, shape: AttentionShape): Context {
  const geometry = attentionGeometry(extension, shape);
  const weightsAt = shape.size * geometry.blockRow;
  const scratchBytes = weightsAt + shape.length * geometry.blockRow;
  return { ...shape, ...geometry, queriesAt: 0, weightsAt, scratchBytes };
}

/**
 * qkv [B·T, 3C], in whose rows stand q, k and v, each with its heads side by side → y [B·T, C] and statistics [B, H, 2, T]: of each
 * query the largest score, as a power of two, and the inverse sum of its weights 2^(score − largest).
 */
export function selfAttentionKernel(extension: VectorExtension, shape: AttentionShape): Kernel {
  const { batch, length, heads, size } = shape;
  const context = contextOf(extension, shape);
  const { block, qkvRow, yRow, scratchBytes } = context;
  return assembleKernel(extension, {
    name: 'SelfAttention',
    inputs: ['float32'],
    outputs: [
      { type: 'float32', shape: [batch * length, heads * size] },
      { type: 'float32', shape: [batch, heads, 2, length] },
    ],
    phases: [
      {
        tasks: batch * heads,
        stack: scratchBytes,
        emit: (code) => {
          emitHeadPointers(code, heads, [
            { target: qkv, place: 0, stride: { sequence: length * qkvRow, head: 4 * size } },
            { target: y, place: 1, stride: { sequence: length * yRow, head: 4 * size } },
            { target: statistics, place: 2, stride: { task: 8 * length } },
          ]);
          emitMaskTable(code);
          const whole = length - (length % block);
          code.movImmediate(first, 0);
          if (whole > 0) {
            const next: Label = {};
            code.place(next);
            emitBlock(code, context, block);
            code.addImmediate(first, block);
            code.compareImmediate(first, whole);
            code.jumpIf('less', next);
          }
          if (length > whole) emitBlock(code, context, length - whole);
        },
      },
    ],
  });
}

/** A vector of −∞, then one of ∞: the smaller of a score and what stands n lanes before the middle leaves out the first n. */
function emitMaskTable(code: Assembler): void {
  const [data, over]: Label[] = [{}, {}];
  const infinities = Float32Array.from({ length: 2 * code.lanes }, (_, i) => (i < code.lanes ? -Infinity : Infinity));
  code.address(table, data);
  code.jump(over);
  code.align(64);
  code.place(data);
  code.raw([...new Uint8Array(infinities.buffer)]);
  code.place(over);
}

/** y and statistics of `count` queries from `first` on. */
function emitBlock(code: Assembler, context: Context, count: number): void {
  code.mulImmediate(rsi, first, context.qkvRow);
  code.addGpr(rsi, qkv);
  code.lea(rdi, { base: scratch, displacement: context.queriesAt });
  emitTransposedCopy(code, {
    source: rsi,
    rowStride: context.qkvRow,
    rows: count,
    columns: context.size,
    target: rdi,
    factor: Math.LOG2E / Math.sqrt(context.size),
    counter: rcx,
    scratch: rax,
  });
  emitScores(code, context, count);
  emitWeights(code, context, count);
  for (let query = 0; query < count; query += context.rows) emitResult(code, context, { query, count });
}

/** Where the largest scores and the sums of weights of a block are kept. */
const maximumAt = ({ rows }: Context, vector: number): number => 2 * rows + 4 + vector;
const sumOfWeightsAt = ({ rows }: Context, vector: number): number => 2 * rows + 6 + vector;

/** Scores of the block's queries, tile after tile of keys, and the largest of each query. */
function emitScores(code: Assembler, context: Context, count: number): void {
  const { lanes, rows, part, weightsAt } = context;
  for (const vector of [0, 1]) code.load(maximumAt(context, vector), code.number(-Infinity));
  code.lea(rsi, { base: qkv, displacement: part });
  code.lea(rdx, { base: scratch, displacement: weightsAt });
  const vectors = count > lanes ? 2 : 1;
  const [next, diagonal]: Label[] = [{}, {}];
  code.mov(r8, first);
  code.compareImmediate(r8, 0);
  code.jumpIf('equal', diagonal);
  code.place(next);
  emitScoreTile(code, context, { rows, from: 0, vectors });
  code.addImmediate(r8, -rows);
  code.jumpIf('notEqual', next);
  code.place(diagonal);
  for (let key = 0; key < count; key += rows) {
    const from = key < lanes ? 0 : 1; // the first vector's queries stand before the keys of the second
    const leftOut = key - from * lanes;
    emitScoreTile(code, context, { rows: Math.min(rows, count - key), from, vectors: vectors - from, leftOut });
  }
}

interface ScoreTile {
  /** Keys. */
  readonly rows: number;
  /** Vectors of queries. */
  readonly from: number;
  readonly vectors: number;
  /** On the diagonal: how many queries of the first vector stand before the first key. */
  readonly leftOut?: number;
}

/** Keys from rsi on, scores to rdx; both move to the next tile. */
function emitScoreTile(code: Assembler, context: Context, { rows, from, vectors, leftOut }: ScoreTile): void {
  const { lanes, size, qkvRow, blockRow, queriesAt } = context;
  const left = { base: rsi, step: 4, rowStride: qkvRow };
  const tile: Tile = { rows, vectors, left, right: { base: rdi, step: blockRow }, depth: size, depthIn: 'code', counter: rcx }; // prettier-ignore
  code.lea(rdi, { base: scratch, displacement: queriesAt + 4 * lanes * from });
  zeroSums(code, tile);
  emitProduct(code, tile);
  for (let row = 0; row < rows; row++) {
    for (let vector = 0; vector < vectors; vector++) {
      const sum = sumAt(tile, row, vector);
      if (leftOut !== undefined && vector === 0 && leftOut + row > 0)
        code.op('min', sum, sum, { base: table, displacement: 4 * (lanes - leftOut - row) });
      const maximum = maximumAt(context, from + vector);
      code.op('max', maximum, maximum, sum);
      code.store({ base: rdx, displacement: row * blockRow + 4 * lanes * (from + vector) }, sum);
    }
  }
  code.addImmediate(rsi, rows * qkvRow - 4 * size);
  code.addImmediate(rdx, rows * blockRow);
}

/** Weights from scores, their sums, and the statistics. */
function emitWeights(code: Assembler, context: Context, count: number): void {
  const { lanes, blockRow, weightsAt, length } = context;
  const x = 0;
  const registers = powerRegisters(code, { a: 1, b: 2, first: 3 });
  const vectors = count > lanes ? [0, 1] : [0];
  loadPowerConstants(code, 3);
  for (const vector of vectors) code.zero(sumOfWeightsAt(context, vector));
  const weigh = (those: readonly number[]): void => {
    const next: Label = {};
    code.align(16);
    code.place(next);
    for (const vector of those) {
      const place = { base: rdx, displacement: 4 * lanes * vector };
      const sum = sumOfWeightsAt(context, vector);
      code.load(x, place);
      code.op('sub', x, x, maximumAt(context, vector));
      emitPowerOfTwo(code, x, registers);
      code.op('add', sum, sum, x);
      code.store(place, x);
    }
    code.addImmediate(rdx, blockRow);
    code.addImmediate(r8, -1);
    code.jumpIf('notEqual', next);
  };
  code.lea(rdx, { base: scratch, displacement: weightsAt });
  code.lea(r8, { base: first, displacement: Math.min(count, lanes) });
  weigh(vectors);
  if (count > lanes) {
    code.movImmediate(r8, count - lanes);
    weigh([1]);
  }
  code.load(x, code.number(1));
  for (const vector of vectors) {
    const present = Math.min(lanes, count - vector * lanes);
    const mask = present < lanes ? maskFor(code, 4) : undefined;
    if (mask !== undefined) code.setMask(mask, present, rax);
    const inverse = 1;
    code.op('div', inverse, x, sumOfWeightsAt(context, vector));
    [maximumAt(context, vector), inverse].forEach((values, i) => {
      const displacement = 4 * (i * length + vector * lanes);
      emitStore(code, { base: statistics, index: first, scale: 4, displacement }, values, mask);
    });
  }
}

/** y of a tile of queries: weights · v, divided by the sum of the weights. */
function emitResult(code: Assembler, context: Context, { query, count }: { query: number; count: number }): void {
  const { lanes, length, qkvRow, blockRow, yRow, part, panels, weightsAt } = context;
  for (const panel of panels) {
    const tile: Tile = {
      rows: Math.min(context.rows, count - query),
      vectors: panel.vectors,
      left: { base: rsi, step: blockRow, rowStride: 4 },
      right: { base: rdi, step: qkvRow },
      depth: r8,
      depthIn: 'register',
      mask: panelMask(code, panel, rax),
    };
    const diagonal: Label = {};
    code.lea(rsi, { base: scratch, displacement: weightsAt + 4 * query });
    code.lea(rdi, { base: qkv, displacement: 2 * part + 4 * lanes * panel.first });
    code.lea(r8, { base: first, displacement: query });
    zeroSums(code, tile);
    code.compareImmediate(r8, 0);
    code.jumpIf('equal', diagonal);
    emitProduct(code, tile);
    code.place(diagonal);
    emitTriangle(code, tile, 'up to the row');

    const inverse = tile.rows * tile.vectors;
    for (let row = 0; row < tile.rows; row++) {
      code.broadcast(inverse, { base: statistics, index: first, scale: 4, displacement: 4 * (length + query + row) });
      for (let vector = 0; vector < tile.vectors; vector++)
        code.op('mul', sumAt(tile, row, vector), sumAt(tile, row, vector), inverse);
    }
    code.mulImmediate(rdx, first, yRow);
    const place = { base: rdx, index: y, displacement: query * yRow + 4 * lanes * panel.first };
    eachSum(code, { tile, place, rowStride: yRow }, (sum, place, part) => emitStore(code, place, sum, part));
  }
}
