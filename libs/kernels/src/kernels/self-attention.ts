/**
 * Causal self-attention of a transformer (Vaswani et al. 2017), straight from the projected qkv and without a T × T matrix of
 * weights in memory. A task is one head of one sequence.
 * Method: for a block of queries, as many as fit two vectors, 1. the scores of all keys up to the block's last, with the queries
 * side by side, and their maxima; 2. weights and their sums; 3. weights · v. Every number is a sum in the order of the keys, and
 * keys after the query are never read: a result does not depend on T, the batch or the threads.
 * Reference: Dao et al., FlashAttention, 2022 (arXiv 2205.14135), for keeping maxima and sums in place of the weights.
 * In bfloat16, q, k, v and weights are rounded where they are multiplied; scores, softmax and sums are float32.
 * Leaves out: its rescaling of partial results, since the scores of a block of queries fit the cache.
 */
import { type Assembler } from '../assembler';
import { type Label, r8, rax, rcx, rdi, rdx, rsi, type VectorExtension } from '../encoding';
import { assembleKernel, type Kernel } from '../kernel';
import { emitStore } from '../lanes';
import { emitProduct, sumAt, type Tile, zeroSums } from '../tile';
import { emitTransposedCopy } from '../transposed-copy';
import { type Context, contextOf, first, maximumAt, qkv, scratch, statistics, steps, table, y } from './attention-context'; // prettier-ignore
import {
  type AttentionShape,
  columnsRow,
  eachSum,
  emitHeadPointers,
  panelMask,
  stepsPerRound,
} from './attention-geometry';
import { emitProductBeside, emitTriangle } from './attention-triangle';
import { emitWeights } from './attention-weights';
import { pairs } from './packing-pairs';

/**
 * qkv [B·T, 3C], in whose rows stand q, k and v, each with its heads side by side → y [B·T, C] and statistics [B, H, 2, T]: of each
 * query the largest score, as a power of two, and the inverse sum of its weights 2^(score − largest).
 */
export function selfAttentionKernel(extension: VectorExtension, shape: AttentionShape): Kernel {
  const { batch, length, heads, size } = shape;
  const context = contextOf(extension, shape);
  const { block, terms, qkvRow, yRow, paired, scratchBytes } = context;
  return assembleKernel(extension, {
    name: 'SelfAttention',
    inputs: ['float32'],
    outputs: [
      { type: 'float32', shape: [batch * length, heads * size] },
      { type: 'float32', shape: [batch, heads, 2, length] },
      ...(paired?.outputs ?? []),
    ],
    phases: [
      {
        tasks: batch * heads,
        stack: paired?.stack ?? scratchBytes,
        emit: (code) => {
          emitHeadPointers(code, heads, [
            { target: qkv, place: 0, stride: { sequence: length * qkvRow, head: 4 * size } },
            { target: y, place: 1, stride: { sequence: length * yRow, head: 4 * size } },
            { target: statistics, place: 2, stride: { task: 8 * length } },
            ...(paired?.pointers(3) ?? []),
          ]);
          paired?.emit(code);
          emitMaskTable(code);
          const whole = length - (length % block);
          code.movImmediate(first, 0);
          code.movImmediate(steps, 0);
          if (whole > 0) {
            const next: Label = {};
            code.place(next);
            emitBlock(code, context, block);
            code.addImmediate(first, block);
            code.addImmediate(steps, block / terms);
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
  const { size, lanes, qkvRow, queriesAt } = context;
  const registers = { source: rsi, target: rdi, counter: rcx, scratch: rax };
  code.mulImmediate(rsi, first, qkvRow);
  code.addGpr(rsi, qkv);
  code.lea(rdi, { base: scratch, displacement: queriesAt });
  if (context.terms === 2) {
    const panel = { vectors: Math.ceil(count / lanes), last: count > lanes ? count - lanes : count };
    pairs.columns(code, { panel, depth: size, stride: qkvRow }, registers);
  } else {
    const factor = Math.LOG2E / Math.sqrt(size);
    emitTransposedCopy(code, { rowStride: qkvRow, rows: count, columns: size, factor, ...registers });
  }
  emitScores(code, context, count);
  emitWeights(code, context, count);
  for (let query = 0; query < count; query += context.rows) emitResult(code, context, { query, count });
}

/** Scores of the block's queries, tile after tile of keys, and the largest of each query. */
function emitScores(code: Assembler, context: Context, count: number): void {
  const { lanes, rows, keys, weightsAt } = context;
  for (const vector of [0, 1]) code.load(maximumAt(context, vector), code.number(-Infinity));
  code.lea(rsi, { base: keys.base, displacement: keys.at });
  code.lea(rdx, { base: scratch, displacement: weightsAt });
  const vectors = count > lanes ? 2 : 1;
  const queriesRow = columnsRow(context, count);
  const [next, diagonal]: Label[] = [{}, {}];
  code.mov(r8, first);
  code.compareImmediate(r8, 0);
  code.jumpIf('equal', diagonal);
  code.place(next);
  emitScoreTile(code, context, { rows, from: 0, vectors, queriesRow });
  code.addImmediate(r8, -rows);
  code.jumpIf('notEqual', next);
  code.place(diagonal);
  for (let key = 0; key < count; key += rows) {
    const from = key < lanes ? 0 : 1; // the first vector's queries stand before the keys of the second
    const leftOut = key - from * lanes;
    emitScoreTile(code, context, { rows: Math.min(rows, count - key), from, vectors: vectors - from, queriesRow, leftOut }); // prettier-ignore
  }
  if (count % context.terms > 0) {
    // The last key has no other in its pair: one that weighs nothing.
    code.load(0, code.number(-Infinity));
    for (let vector = 0; vector < vectors; vector++) code.store({ base: rdx, displacement: 4 * lanes * vector }, 0);
  }
}

interface ScoreTile {
  /** Keys. */
  readonly rows: number;
  /** Vectors of queries. */
  readonly from: number;
  readonly vectors: number;
  readonly queriesRow: number;
  /** On the diagonal: how many queries of the first vector stand before the first key. */
  readonly leftOut?: number;
}

/** Keys from rsi on, scores to rdx; both move to the next tile. */
function emitScoreTile(
  code: Assembler,
  context: Context,
  { rows, from, vectors, queriesRow, leftOut }: ScoreTile,
): void {
  const { lanes, size, terms, precision, keys, blockRow, queriesAt } = context;
  const tile: Tile = {
    rows,
    vectors,
    precision,
    left: { base: rsi, step: 4, rowStride: keys.row },
    right: { base: rdi, step: queriesRow },
    depth: Math.ceil(size / terms),
    depthIn: 'code',
    counter: rcx,
    stepsPerRound,
  };
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
  code.addImmediate(rsi, rows * keys.row - 4 * tile.depth);
  code.addImmediate(rdx, rows * blockRow);
}

/** y of a tile of queries: weights · v, divided by the sum of the weights. */
function emitResult(code: Assembler, context: Context, { query, count }: { query: number; count: number }): void {
  const { lanes, length, terms, precision, blockRow, yRow, values, panels, weightsAt } = context;
  for (const panel of panels) {
    const tile = {
      rows: Math.min(context.rows, count - query),
      vectors: panel.vectors,
      precision,
      left: { base: rsi, step: blockRow, rowStride: 4 },
      right: { base: rdi, step: terms * values.row },
      depth: r8,
      depthIn: 'register',
      mask: panelMask(code, panel, rax),
    } as const;
    code.lea(rsi, { base: scratch, displacement: weightsAt + 4 * query });
    code.lea(rdi, { base: values.base, displacement: values.at + 4 * lanes * panel.first });
    zeroSums(code, tile);
    emitProductBeside(code, tile, { base: steps, displacement: query / terms });
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
