/** What the kernels of causal self-attention share: shapes, strides, and how work is cut into blocks. */
import { type Assembler } from '../assembler';
import { type Gpr, type Memory, r8, rax, rdx, rdi, rsi, type Vec, type VectorExtension } from '../encoding';
import { maskFor } from '../lanes';
import { lowestPower, powerCoefficients, type PowerRegisters } from '../mathematics';
import { type Precision, sumAt, termsOf, type Tile } from '../tile';

/** B sequences of T tokens, H heads of D numbers. */
export interface AttentionShape {
  readonly batch: number;
  readonly length: number;
  readonly heads: number;
  readonly size: number;
  /** Of the factors of products, not of sums and softmax; by default float32. 'bfloat16' takes AVX512_BF16. */
  readonly precision?: Precision;
}

/** Of products: there are so many of them that unrolling would take their code out of the first-level cache. */
export const stepsPerRound = 1;

/** Whether the kernels can hold what they need of a sequence on the stack. */
export const fitsSelfAttention = ({ length, size }: Pick<AttentionShape, 'length' | 'size'>): boolean =>
  length <= 4096 && size <= 2048;

/** Columns of a result that are computed at a time: up to two vectors, the last one perhaps in part. */
export interface Panel {
  /** In vectors. */
  readonly first: number;
  readonly vectors: number;
  /** Numbers in its last vector. */
  readonly last: number;
}

/** Rows of a head, token after token, as products read them: floats, pairs of a token's numbers, or rows of pairs of tokens. */
export interface TokenRows {
  readonly base: Gpr;
  readonly at: number;
  /** Bytes of a token. */
  readonly row: number;
}

export interface AttentionGeometry {
  readonly lanes: number;
  /** Terms of a product's sums that are one step. */
  readonly terms: 1 | 2;
  /** Queries (forward) or keys (backward) whose scores stand side by side: two vectors. */
  readonly block: number;
  /** Rows of a tile. Divides the lanes, so that no tile crosses from one vector into the other. */
  readonly rows: number;
  /** Bytes from token to token in qkv [B·T, 3C] and in y [B·T, C]. */
  readonly qkvRow: number;
  readonly yRow: number;
  /** Bytes from q to k and from k to v. */
  readonly part: number;
  /** Bytes of one row of a block. */
  readonly blockRow: number;
  /** The columns of D. */
  readonly panels: readonly Panel[];
}

export function attentionGeometry(
  extension: VectorExtension,
  { heads, size, precision }: AttentionShape,
): AttentionGeometry {
  const lanes = extension === 'avx512' ? 16 : 8;
  const width = heads * size;
  const vectors = Math.ceil(size / lanes);
  const panels = Array.from({ length: Math.ceil(vectors / 2) }, (_, i): Panel => {
    const [first, end] = [2 * i, Math.min(2 * i + 2, vectors)];
    return { first, vectors: end - first, last: Math.min(size, end * lanes) - (end - 1) * lanes };
  });
  const [block, rows] = [2 * lanes, lanes / 2];
  return {
    lanes,
    terms: termsOf(precision),
    block,
    rows,
    qkvRow: 12 * width,
    yRow: 4 * width,
    part: 4 * width,
    blockRow: 4 * block,
    panels,
  };
}

/** Bytes of one step along the numbers of a head in a transposed block of `count` tokens. */
export const columnsRow = ({ terms, lanes, blockRow }: AttentionGeometry, count: number): number =>
  terms === 2 && count <= lanes ? blockRow / 2 : blockRow;

/** The mask of a panel's last vector, where it is not whole; for AVX2 in the last register. */
export function panelMask(code: Assembler, { last }: Panel, scratch: Gpr): number | undefined {
  if (last === code.lanes) return undefined;
  const mask = maskFor(code, code.registers - 1);
  code.setMask(mask, last, scratch);
  return mask;
}

/** Tensors, by their places among the pointers, of which a task needs the part of one head of one sequence. */
export interface HeadPointer {
  readonly target: Gpr;
  readonly place: number;
  /** Bytes of one sequence and of one head; or of one task. */
  readonly stride: { readonly sequence: number; readonly head: number } | { readonly task: number };
}

/** Loads addresses from the task (rsi) and the pointers (rdi). Changes rax, rdx and r8. */
export function emitHeadPointers(code: Assembler, heads: number, pointers: readonly HeadPointer[]): void {
  code.mov(rax, rsi);
  code.movImmediate(r8, heads);
  code.divide(r8); // rax = sequence, rdx = head
  for (const { target, place, stride } of pointers) {
    if ('task' in stride) {
      code.mulImmediate(target, rsi, stride.task);
    } else {
      code.mulImmediate(target, rax, stride.sequence);
      code.mulImmediate(r8, rdx, stride.head);
      code.addGpr(target, r8);
    }
    code.addGpr(target, { base: rdi, displacement: 8 * place });
  }
}

/** Whether the constants of `emitPowerOfTwo` fit the registers from `first` on. */
const constantsFit = (code: Assembler, first: number): boolean =>
  first + 1 + powerCoefficients.length <= code.registers;

/** Puts the constants of `emitPowerOfTwo` into registers from `first` on, as far as there are any. */
export function loadPowerConstants(code: Assembler, first: number): void {
  code.load(first, code.number(lowestPower(code)));
  if (constantsFit(code, first))
    powerCoefficients.forEach((coefficient, i) => code.load(first + 1 + i, code.number(coefficient)));
}

/** The registers of `emitPowerOfTwo`, with the constants where `loadPowerConstants` has put them. */
export function powerRegisters(code: Assembler, { a, b, first }: Record<'a' | 'b' | 'first', number>): PowerRegisters {
  if (!constantsFit(code, first)) return { a, b, lowest: first };
  return { a, b, lowest: first, number: (value) => first + 1 + powerCoefficients.indexOf(value) };
}

/** Visits the sums of a tile and their places in memory, from `place` on with `rowStride` bytes between rows. */
export function eachSum(
  { lanes }: Assembler,
  { tile, place, rowStride }: { tile: Pick<Tile, 'rows' | 'vectors' | 'mask'>; place: Memory; rowStride: number },
  visit: (sum: Vec, place: Memory, mask?: number) => void,
): void {
  for (let row = 0; row < tile.rows; row++) {
    for (let vector = 0; vector < tile.vectors; vector++) {
      const displacement = (place.displacement ?? 0) + row * rowStride + 4 * lanes * vector;
      visit(sumAt(tile, row, vector), { ...place, displacement }, vector === tile.vectors - 1 ? tile.mask : undefined);
    }
  }
}
