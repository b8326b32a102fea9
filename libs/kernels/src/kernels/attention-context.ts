/** What self-attention keeps where while it runs. */
import { r10, r12, r14, r15, rbp, rbx, rsp, type Vec, type VectorExtension } from '../encoding';
import { type AttentionGeometry, type AttentionShape, attentionGeometry, type TokenRows } from './attention-geometry';
import { PairedHead } from './attention-pairs';

/** Addresses of the head's part of the tensors and of the table of masks; the number of the block's first query. */
export const [qkv, y, statistics, table, first] = [rbx, rbp, r12, r15, r14];
/** That number in steps of products over keys. */
export const steps = r10;
/** What a task keeps is on its stack. */
export const scratch = rsp;

export interface Context extends AttentionShape, AttentionGeometry {
  /** Where it is on the stack, in bytes: qᵀ of a block, [D, block]. */
  readonly queriesAt: number;
  /** Scores, then weights of a block: [T, block]. */
  readonly weightsAt: number;
  readonly scratchBytes: number;
  /** As factors. */
  readonly keys: TokenRows;
  readonly values: TokenRows;
  readonly paired?: PairedHead;
}

export function contextOf(extension: VectorExtension, shape: AttentionShape): Context {
  const geometry = attentionGeometry(extension, shape);
  const { terms, blockRow, part, qkvRow } = geometry;
  const [steps, rows] = [shape.size, shape.length].map((count) => Math.ceil(count / terms));
  const weightsAt = steps * blockRow;
  const scratchBytes = weightsAt + rows * terms * blockRow;
  const places = { queriesAt: 0, weightsAt, scratchBytes };
  const [keys, values] = [part, 2 * part].map((at) => ({ base: qkv, at, row: qkvRow }));
  if (terms === 1) return { ...shape, ...geometry, ...places, keys, values };
  const sources = [{ ...keys, of: 'numbers' } as const, { ...values, of: 'tokens' } as const];
  const paired = new PairedHead({ ...shape, ...geometry }, sources, scratchBytes);
  return { ...shape, ...geometry, ...places, keys: paired.rows[0], values: paired.rows[1], paired };
}

/** Where the largest scores and the sums of weights of a block are kept. */
export const maximumAt = ({ rows }: Context, vector: number): Vec => 2 * rows + 4 + vector;
export const sumOfWeightsAt = ({ rows }: Context, vector: number): Vec => 2 * rows + 6 + vector;
