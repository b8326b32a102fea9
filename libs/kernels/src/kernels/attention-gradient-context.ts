/** What the gradient of self-attention keeps where while it runs. */
import { r12, r14, r15, rbp, rbx, rsp, type VectorExtension } from '../encoding';
import { type AttentionGeometry, type AttentionShape, attentionGeometry } from './attention-geometry';

/** Addresses of the head's part of the tensors; the number of the block's first key. */
export const [qkv, dy, statistics, dqkv, firstKey] = [rbx, rbp, r12, r15, r14];
/** What a task keeps is on its stack; there the number of the first query of the block at hand comes first. */
export const scratch = rsp;
export const firstQuery = { base: scratch };

export interface GradientContext extends AttentionShape, AttentionGeometry {
  /** Where it is on the stack, in bytes: kᵀ and vᵀ of a block, [D, block]. */
  readonly keysAt: number;
  readonly valuesAt: number;
  /** p and ds of a block of queries and one of keys: [block, block]. */
  readonly weightsAt: number;
  readonly dScoresAt: number;
  /** Σ_d dy_d y_d / √D: [T]. */
  readonly rowSumsAt: number;
  readonly scratchBytes: number;
}

export function gradientContext(extension: VectorExtension, shape: AttentionShape): GradientContext {
  const geometry = attentionGeometry(extension, shape);
  const { block, blockRow } = geometry;
  const keysAt = 64;
  const valuesAt = keysAt + shape.size * blockRow;
  const weightsAt = valuesAt + shape.size * blockRow;
  const dScoresAt = weightsAt + block * blockRow;
  const rowSumsAt = dScoresAt + block * blockRow;
  const scratchBytes = rowSumsAt + 4 * shape.length;
  return { ...shape, ...geometry, keysAt, valuesAt, weightsAt, dScoresAt, rowSumsAt, scratchBytes };
}
