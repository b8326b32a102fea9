/** What the gradient of self-attention keeps where while it runs. */
import { r12, r14, r15, rbp, rbx, rsp, type VectorExtension } from '../encoding';
import { type AttentionGeometry, type AttentionShape, attentionGeometry, type TokenRows } from './attention-geometry';
import { PairedHead } from './attention-pairs';

/** Addresses of the head's part of the tensors; the number of the block's first key. */
export const [qkv, dy, statistics, dqkv, firstKey] = [rbx, rbp, r12, r15, r14];
/** What a task keeps is on its stack; there the number of the first query of the block at hand comes first. */
export const scratch = rsp;
export const firstQuery = { base: scratch };

/** A head's rows as factors: q and dy of the products over its numbers, and those over tokens. */
interface Rows {
  readonly queries: TokenRows;
  readonly dys: TokenRows;
  readonly queriesOverTokens: TokenRows;
  readonly dysOverTokens: TokenRows;
  readonly keysOverTokens: TokenRows;
}

export interface GradientContext extends AttentionShape, AttentionGeometry, Rows {
  /** Where it is on the stack, in bytes: kᵀ and vᵀ of a block, [D, block]. */
  readonly keysAt: number;
  readonly valuesAt: number;
  /** p, then ds, of a block of queries and one of keys: [block, block]. A row of p in pairs gives way to that of ds. */
  readonly weightsAt: number;
  readonly dScoresAt: number;
  /** What sums over queries reads of them: columns of p and ds; a step is that of `terms` rows. In pairs they lie in turn. */
  readonly weightColumnsAt: number;
  readonly dScoreColumnsAt: number;
  /** Σ_d dy_d y_d / √D: [T]; in bfloat16 with the other sign. */
  readonly rowSumsAt: number;
  readonly scratchBytes: number;
  readonly paired?: PairedHead;
}

export function gradientContext(extension: VectorExtension, shape: AttentionShape): GradientContext {
  const geometry = attentionGeometry(extension, shape);
  const { terms, block, blockRow, qkvRow, yRow, part } = geometry;
  const columnsBytes = Math.ceil(shape.size / terms) * blockRow;
  const keysAt = 64;
  const valuesAt = keysAt + columnsBytes;
  const weightsAt = valuesAt + columnsBytes;
  const behind = weightsAt + block * blockRow;
  const rowSumsAt = behind + block * blockRow;
  const scratchBytes = rowSumsAt + Math.ceil((4 * shape.length) / 64) * 64;
  const common = { ...shape, ...geometry, keysAt, valuesAt, weightsAt, rowSumsAt, scratchBytes };
  const [q, k, dyRows] = [
    { base: qkv, at: 0, row: qkvRow },
    { base: qkv, at: part, row: qkvRow },
    { base: dy, at: 0, row: yRow },
  ];
  if (terms === 1) {
    const places = { dScoresAt: behind, weightColumnsAt: weightsAt, dScoreColumnsAt: behind };
    return { ...common, ...places, queries: q, dys: dyRows, queriesOverTokens: q, dysOverTokens: dyRows, keysOverTokens: k }; // prettier-ignore
  }
  const paired = new PairedHead(
    { ...shape, ...geometry },
    [
      { ...q, of: 'numbers' },
      { ...dyRows, of: 'numbers' },
      { ...q, of: 'tokens' },
      { ...dyRows, of: 'tokens' },
      { ...k, of: 'tokens' },
    ],
    scratchBytes,
  );
  const [queries, dys, queriesOverTokens, dysOverTokens, keysOverTokens] = paired.rows;
  const places = { dScoresAt: weightsAt, weightColumnsAt: behind, dScoreColumnsAt: behind + blockRow };
  return { ...common, ...places, queries, dys, queriesOverTokens, dysOverTokens, keysOverTokens, paired };
}
