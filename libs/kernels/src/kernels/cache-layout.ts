/**
 * How the keys and values of earlier positions lie in memory. Decoding reads both from one end to the other, as far as there are
 * positions.
 *
 * Keys are in blocks of 16 positions, transposed, [B, H, L/16, D, 16], so that the scores of a block are a vector. Values are as they
 * come, [B, H, L, D]. In bfloat16, words of 32 bits hold two numbers that are multiplied and added in one step: of a key two
 * neighbours, [B, H, L/16, D/2, 16], and of the values those of an even position and of the next one, [B, H, L/2, D]. What comes first
 * is in the lower half.
 */
import { type Assembler } from '../assembler';
import { type Gpr, type Label, r14, r15, rbp, rbx, rcx, rdi, rsi } from '../encoding';
import { type TensorPort } from '../kernel';
import { maskFor } from '../lanes';
import { type Precision, termsOf } from '../tile';

export interface CacheSpec {
  /** B */
  readonly rows: number;
  /** H */
  readonly heads: number;
  /** D; in bfloat16 an even number. */
  readonly size: number;
  /** L, positions that the cache has room for: `cacheLength` of what is needed. */
  readonly length: number;
  /** Of what the cache holds, and of what it is multiplied with; by default float32. 'bfloat16' takes AVX512_BF16. */
  readonly precision?: Precision;
}

/** Positions of a block of keys. */
export const block = 16;

/** Room for so many positions, as the kernels need it. */
export const cacheLength = (positions: number): number => Math.ceil(positions / block) * block;

export interface CacheLayout extends CacheSpec {
  /** Numbers of a word. */
  readonly terms: 1 | 2;
  /** Words of a key. */
  readonly words: number;
  /** Of the keys, or the values, of a head of a row. */
  readonly bytes: number;
  /** Keys, or values. Ports know no numbers of 16 bits, so pairs of them are whole numbers of 32. */
  readonly port: TensorPort;
}

export function cacheLayoutOf(spec: CacheSpec): CacheLayout {
  const { rows, heads, size, length, precision } = spec;
  const terms = termsOf(precision);
  if (size % terms !== 0) throw new RangeError(`A cache in bfloat16 needs heads of an even width, not ${size}`);
  const words = size / terms;
  return {
    ...spec,
    terms,
    words,
    bytes: 4 * words * length,
    port: { type: terms === 1 ? 'float32' : 'int32', shape: [rows, heads, length, words] },
  };
}

/** A row of so many words as vectors, of which the last may be cut off. */
export interface RowVectors {
  readonly count: number;
  /** The mask of a vector that is cut off. */
  maskOf(vector: number): number | undefined;
}

/** Sets the mask, which with AVX2 is register 15. */
export function emitRowVectors(code: Assembler, words: number, scratch: Gpr): RowVectors {
  const count = Math.ceil(words / code.lanes);
  const last = words - (count - 1) * code.lanes;
  const mask = maskFor(code, 15);
  if (last < code.lanes) code.setMask(mask, last, scratch);
  return { count, maskOf: (vector) => (last < code.lanes && vector === count - 1 ? mask : undefined) };
}

/**
 * Copies a head's part of the past, whose address is argument number `past` / 8 plus rbx, unless it is the cache itself. Changes
 * rcx, rbp, r14 and r15.
 */
export function emitCarryOver(
  code: Assembler,
  { past, cache, bytes }: { past: number; cache: Gpr; bytes: number },
): void {
  const [pointers, task] = [r15, rbp];
  const same: Label = {};
  code.mov(r14, { base: rdi, displacement: past });
  code.addGpr(r14, rbx);
  code.compare(r14, cache);
  code.jumpIf('equal', same);
  code.mov(pointers, rdi);
  code.mov(task, rsi);
  code.mov(rsi, r14);
  code.mov(rdi, cache);
  code.movImmediate(rcx, bytes);
  code.copyBytes();
  code.mov(rdi, pointers);
  code.mov(rsi, task);
  code.place(same);
}
