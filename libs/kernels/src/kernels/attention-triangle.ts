import { type Assembler } from '../assembler';
import { type Gpr, type Label, type Memory } from '../encoding';
import { emitLoad } from '../lanes';
import { emitProduct, sumAt, termsOf, type Tile } from '../tile';

/** The first and the second number of every pair. */
const halves = [0x0000ffff, 0xffff0000 | 0] as const;

/**
 * Adds the terms of a product in a square on the diagonal, as many as the tile has rows: row r takes those up to r, or those from
 * r on. The others are not read. Both bases end up behind the square. Of a pair that only one number belongs to, the left factor must
 * have 0 in place of the other one; what the right factor has there, perhaps NaN, is taken out.
 */
export function emitTriangle(
  code: Assembler,
  tile: Pick<Tile, 'rows' | 'vectors' | 'left' | 'right' | 'mask' | 'precision'>,
  order: 'up to the row' | 'from the row on',
): void {
  const { rows, vectors, left, right, mask, precision } = tile;
  const terms = termsOf(precision);
  const rightAt = rows * vectors;
  const element = rightAt + vectors;
  const steps = Math.ceil(rows / terms);
  const add = (row: number, step: number): void => {
    code.broadcast(element, { base: left.base, displacement: step * left.step + row * left.rowStride });
    for (let vector = 0; vector < vectors; vector++) {
      const sum = sumAt(tile, row, vector);
      if (terms === 2) code.dotBfloat16(sum, element, rightAt + vector);
      else code.op('fma231', sum, element, rightAt + vector);
    }
  };
  for (let step = 0; step < steps; step++) {
    for (let vector = 0; vector < vectors; vector++) {
      const source = { base: right.base, displacement: step * right.step + 4 * code.lanes * vector };
      emitLoad(code, rightAt + vector, source, vector === vectors - 1 ? mask : undefined);
    }
    const [first, last] = [step * terms, step * terms + terms - 1];
    for (let row = 0; row < rows; row++) if (order === 'up to the row' ? row >= last : row <= first) add(row, step);
    if (terms === 1) continue;
    // The row that has only its own number of the pair.
    const [own, half] = order === 'up to the row' ? [first, halves[0]] : [last, halves[1]];
    if (own >= rows) continue;
    for (let vector = 0; vector < vectors; vector++)
      code.op('and', rightAt + vector, rightAt + vector, code.numberBits(half));
    add(own, step);
  }
  code.addImmediate(left.base, steps * left.step);
  code.addImmediate(right.base, steps * right.step);
}

/** Adds the terms beside a triangle, in so many steps as `steps` comes to as an address, be it none. */
export function emitProductBeside(code: Assembler, tile: Tile & { readonly depth: Gpr }, steps: Memory): void {
  const none: Label = {};
  code.lea(tile.depth, steps);
  code.compareImmediate(tile.depth, 0);
  code.jumpIf('equal', none);
  emitProduct(code, tile);
  code.place(none);
}
