/**
 * The gradient of causal self-attention. A task is one head of one sequence.
 * Method, for a block of keys, as many as fit two vectors, and queries block after block from there on, with the keys side by side:
 *   p = 2^(score − largest) / Σ, from q and k again;  dp = dy · v;  ds = p (dp − Σ_d dy_d y_d) / √D
 *   dq += ds · k;  dk += dsᵀ · q;  dv += pᵀ · dy
 * Sums are in the order of the queries (dk, dv) or keys (dq), and what causality leaves out is never read. In bfloat16, factors of
 * all five products are rounded, p and ds among them; p of which ds is made, sums and statistics are float32.
 * Reference: Dao et al., FlashAttention, 2022 (arXiv 2205.14135), appendix B.
 */
import { type Assembler } from '../assembler';
import { type Gpr, type Label, r10, r11, r9, rax, rcx, rdi, rdx, rsi, type VectorExtension } from '../encoding';
import { assembleKernel, type Kernel } from '../kernel';
import { countDown, emitLoad, emitStore } from '../lanes';
import { emitProduct, zeroSums } from '../tile';
import { emitTransposedCopy } from '../transposed-copy';
import { dqkv, dy, firstKey, firstQuery, gradientContext, type GradientContext, qkv, scratch, statistics } from './attention-gradient-context'; // prettier-ignore
import { emitDKeysBelow, emitDKeysOnDiagonal } from './attention-gradient-keys';
import { dyAt, emitDScores, loadScoreConstants, queryAt, rowSumAt, type ScoresTile, statisticsAt, weightsRow } from './attention-gradient-scores'; // prettier-ignore
import {
  type AttentionShape,
  eachSum,
  emitHeadPointers,
  panelMask,
  stepsPerRound,
  type TokenRows,
} from './attention-geometry';
import { emitProductBeside, emitTriangle } from './attention-triangle';
import { PairingRows, pairs } from './packing-pairs';

/** Address of the dq of a tile's first query. */
const dqAt = r10;

/** (qkv, y, statistics, dy), as `selfAttentionKernel` has them → dqkv [B·T, 3C]. */
export function selfAttentionGradientKernel(extension: VectorExtension, shape: AttentionShape): Kernel {
  const { batch, length, heads, size } = shape;
  const context = gradientContext(extension, shape);
  const { block, qkvRow, yRow, paired, scratchBytes } = context;
  const inQkv = { sequence: length * qkvRow, head: 4 * size };
  const inY = { sequence: length * yRow, head: 4 * size };
  return assembleKernel(extension, {
    name: 'SelfAttentionGradient',
    inputs: ['float32', 'float32', 'float32', 'float32'],
    outputs: [{ type: 'float32', shape: [batch * length, 3 * heads * size] }, ...(paired?.outputs ?? [])],
    phases: [
      {
        tasks: batch * heads,
        stack: paired?.stack ?? scratchBytes,
        emit: (code) => {
          emitHeadPointers(code, heads, [
            { target: qkv, place: 0, stride: inQkv },
            { target: r9, place: 1, stride: inY },
            { target: statistics, place: 2, stride: { task: 8 * length } },
            { target: dy, place: 3, stride: inY },
            { target: dqkv, place: 4, stride: inQkv },
            ...(paired?.pointers(5) ?? []),
          ]);
          emitRowSums(code, context, r9);
          paired?.emit(code);
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

/**
 * Σ_d dy_d y_d of every query. In bfloat16 dy is rounded here, too: where dy · v does not differ from
 * key to key, ds is then 0 still.
 */
function emitRowSums(code: Assembler, context: GradientContext, y: Gpr): void {
  const { length, size, panels, lanes, terms, rowSumsAt, yRow } = context;
  const [sum, a, b, zero, indices] = [0, 1, 2, 3, 4];
  const mask = panelMask(code, panels.at(-1)!, rax);
  code.lea(rdi, { base: dy });
  code.lea(rdx, { base: scratch, displacement: rowSumsAt });
  code.zero(zero);
  const pairing = terms === 2 ? new PairingRows(code, indices) : undefined;
  countDown(code, { counter: rcx, count: length }, () => {
    code.zero(sum);
    const vectors = Math.ceil(size / lanes);
    for (let vector = 0; vector < vectors; vector++) {
      const displacement = 4 * lanes * vector;
      const part = vector === vectors - 1 ? mask : undefined;
      emitLoad(code, a, { base: y, displacement }, part);
      emitLoad(code, b, { base: rdi, displacement }, part);
      pairing?.emit(b, zero, b); // the upper half of a float
      code.op('fma231', sum, a, b);
    }
    code.reduce('add', sum, sum, a);
    code.opOne('mul', sum, sum, code.number((terms === 2 ? -1 : 1) / Math.sqrt(size)));
    code.storeOne({ base: rdx }, sum);
    code.addImmediate(y, yRow);
    code.addImmediate(rdi, yRow);
    code.addImmediate(rdx, 4);
  });
}

/** dk and dv of `count` keys from `firstKey` on, and what they add to dq. */
function emitBlock(code: Assembler, context: GradientContext, count: number): void {
  const { size, length, block, lanes, terms, part, qkvRow, keysAt, valuesAt } = context;
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
    const registers = { source: rsi, target: rdi, counter: rcx, scratch: rax };
    const panel = { vectors: Math.ceil(count / lanes), last: count > lanes ? count - lanes : count };
    if (terms === 2) pairs.columns(code, { panel, depth: size, stride: qkvRow }, registers);
    else emitTransposedCopy(code, { rowStride: qkvRow, rows: count, columns: size, factor, ...registers });
  }
  const pairing = loadScoreConstants(code, context);
  code.movTo(firstQuery, firstKey);
  emitDiagonal(code, context, { count, pairing });
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
    emitBelow(code, context, { count: block, pairing });
    advance();
    code.jump(next);
    code.place(done);
  }
  if (length > whole) emitBelow(code, context, { count: length - whole, pairing });
}

function emitTilePointers(code: Assembler, { qkvRow, queries, dys, rowSumsAt, weightsAt }: GradientContext): void {
  const point = (target: Gpr, { base, at, row }: TokenRows): void => {
    code.mulImmediate(target, rcx, row);
    code.lea(target, { base: target, index: base, displacement: at });
  };
  code.mov(rcx, firstQuery);
  point(queryAt, queries);
  point(dyAt, dys);
  point(dqAt, { base: dqkv, at: 0, row: qkvRow });
  code.lea(statisticsAt, { base: statistics, index: rcx, scale: 4 });
  code.lea(rowSumAt, { base: scratch, index: rcx, scale: 4, displacement: rowSumsAt });
  code.lea(weightsRow, { base: scratch, displacement: weightsAt });
}

function advanceTile(code: Assembler, { qkvRow, queries, dys, blockRow }: GradientContext, rows: number): void {
  const strides: [Gpr, number][] = [[dqAt, qkvRow], [queryAt, queries.row], [dyAt, dys.row], [statisticsAt, 4], [rowSumAt, 4], [weightsRow, blockRow]]; // prettier-ignore
  for (const [pointer, stride] of strides) code.addImmediate(pointer, rows * stride);
}

/** A block of queries. */
interface Queries extends Pick<ScoresTile, 'pairing'> {
  readonly count: number;
}

/** The queries of the block itself, each with the keys up to its own. */
function emitDiagonal(code: Assembler, context: GradientContext, { count, pairing }: Queries): void {
  emitTilePointers(code, context);
  for (let query = 0; query < count; query += context.rows) {
    const rows = Math.min(context.rows, count - query);
    emitDScores(code, context, { rows, vectors: query < context.lanes ? 1 : 2, count, diagonal: query, pairing });
    advanceTile(code, context, rows);
  }
  emitDQueriesOnDiagonal(code, context, count);
  emitDKeysOnDiagonal(code, context, count);
}

function emitDQueriesOnDiagonal(code: Assembler, context: GradientContext, count: number): void {
  const { rows, terms, qkvRow, blockRow } = context;
  const steps = r11; // before the tile's square
  const rest = count % rows;
  emitTilePointers(code, context);
  code.movImmediate(steps, 0);
  if (count >= rows) {
    const next: Label = {};
    code.place(next);
    emitDQueries(code, context, { rows, before: steps });
    code.addImmediate(dqAt, rows * qkvRow);
    code.addImmediate(weightsRow, rows * blockRow);
    code.addImmediate(steps, rows / terms);
    code.compareImmediate(steps, (count - rest) / terms);
    code.jumpIf('less', next);
  }
  if (rest > 0) emitDQueries(code, context, { rows: rest, before: steps });
}

/** `count` queries that stand after all keys of the block. */
function emitBelow(code: Assembler, context: GradientContext, { count, pairing }: Queries): void {
  const { block, rows, blockRow, weightsAt } = context;
  const tiles = (some: number): void => {
    emitDScores(code, context, { rows: some, vectors: 2, count: block, pairing });
    emitDQueries(code, context, { rows: some });
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

interface DQueries {
  readonly rows: number;
  /** On the diagonal, steps over the keys before the tile's own; else all keys of the block are before it. */
  readonly before?: Gpr;
}

/** dq += ds · k for a tile of queries; the first block of keys begins it. */
function emitDQueries(code: Assembler, context: GradientContext, { rows, before }: DQueries): void {
  const { terms, precision, qkvRow, keysOverTokens, block, blockRow, lanes, panels, weightsAt, dScoresAt } = context;
  for (const panel of panels) {
    const { vectors, first } = panel;
    const mask = panelMask(code, panel, rcx);
    const tile = {
      rows,
      vectors,
      precision,
      left: { base: rsi, step: 4, rowStride: blockRow },
      right: { base: rdi, step: terms * keysOverTokens.row },
      mask,
    };
    code.lea(rsi, { base: weightsRow, displacement: dScoresAt - weightsAt });
    code.mulImmediate(rdi, firstKey, keysOverTokens.row);
    code.lea(rdi, { base: rdi, index: keysOverTokens.base, displacement: keysOverTokens.at + 4 * lanes * first });
    const sums = { tile, place: { base: dqAt, displacement: 4 * lanes * first }, rowStride: qkvRow };
    const begun: Label = {};
    zeroSums(code, tile);
    code.compareImmediate(firstKey, 0);
    code.jumpIf('equal', begun);
    eachSum(code, sums, (sum, place, part) => emitLoad(code, sum, place, part));
    code.place(begun);
    if (before === undefined) {
      emitProduct(code, { ...tile, depth: block / terms, depthIn: 'code', counter: rcx, stepsPerRound });
    } else {
      emitProductBeside(code, { ...tile, depth: rcx, depthIn: 'register' }, { base: before });
      emitTriangle(code, tile, 'up to the row');
    }
    eachSum(code, sums, (sum, place, part) => emitStore(code, place, sum, part));
  }
}
