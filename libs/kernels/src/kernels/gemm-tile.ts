/** One tile of a matrix product. */
import { type Assembler } from '../assembler';
import { type Memory, r12, r15, rax, rcx, rdi, rdx, rsi } from '../encoding';
import { emitProduct, sumAt, termsOf, type Touch, zeroSums } from '../tile';
import { type GemmSpec, type Step } from './gemm-plan';
import { type Panel } from './packing';

export interface GemmTile extends Step {
  readonly rows: number;
  readonly panel: Panel;
  /** How the rows of A lie: bytes from one number or pair along the depth to the next, and from row to row. */
  readonly left: { readonly step: number; readonly rowStride: number };
  /** What is fetched of the next tile's rows, if anything. */
  readonly touch?: Touch;
}

/**
 * Adds the product of A's rows at r12 and the panel of B at rsi to the tile of C at rdi. The part of b, or the tile of D, is at r15. rsi moves on to the
 * next panel.
 */
export function emitTile(code: Assembler, spec: GemmSpec, { rows, panel, left, depth, first, touch }: GemmTile): void {
  const { vectors, last } = panel;
  const vectorBytes = 4 * code.lanes;
  const partial = last < code.lanes;
  const mask = code.extension === 'avx512' ? 1 : code.registers - 1;
  const place = (row: number, vector: number, base = rdi): Memory => ({
    base,
    displacement: row * 4 * spec.columns + vector * vectorBytes,
  });
  const cut = (vector: number): boolean => partial && vector === vectors - 1;
  const each = (body: (sum: number, row: number, vector: number) => void): void => {
    for (let row = 0; row < rows; row++)
      for (let vector = 0; vector < vectors; vector++) body(sumAt(panel, row, vector), row, vector);
  };
  if (first && spec.bias) {
    if (partial) code.setMask(mask, last, rax);
    each((sum, _, vector) => {
      const source = { base: r15, displacement: vector * vectorBytes };
      if (cut(vector)) code.loadMasked(sum, source, mask);
      else code.load(sum, source);
    });
  } else {
    zeroSums(code, { rows, vectors });
  }
  each((_, row, vector) => code.prefetch(place(row, vector))); // C is written, if not read, in the end
  code.mov(rdx, r12);
  emitProduct(code, {
    rows,
    vectors,
    left: { base: rdx, ...left },
    right: { base: rsi, step: vectors * vectorBytes },
    precision: spec.precision,
    depth: Math.ceil(depth / termsOf(spec.precision)),
    depthIn: 'code',
    counter: rcx,
    touch,
  });
  const temporary = rows * vectors;
  if (partial) code.setMask(mask, last, rax);
  each((sum, row, vector) => {
    if (!first || spec.added) {
      const before = place(row, vector, first ? r15 : rdi);
      if (cut(vector)) {
        code.loadMasked(temporary, before, mask);
        code.op('add', sum, sum, temporary);
      } else {
        code.op('add', sum, sum, before);
      }
    }
    if (cut(vector)) code.storeMasked(place(row, vector), sum, mask);
    else code.store(place(row, vector), sum);
  });
}
