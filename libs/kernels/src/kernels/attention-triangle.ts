import { type Assembler } from '../assembler';
import { emitLoad } from '../lanes';
import { sumAt, type Tile } from '../tile';

/**
 * Adds the terms of a product in a square on the diagonal, as many as the tile has rows: row r takes those up to r, or those from
 * r on. The others are not read. Both bases end up behind the square.
 */
export function emitTriangle(
  code: Assembler,
  tile: Pick<Tile, 'rows' | 'vectors' | 'left' | 'right' | 'mask'>,
  terms: 'up to the row' | 'from the row on',
): void {
  const { rows, vectors, left, right, mask } = tile;
  const rightAt = rows * vectors;
  const element = rightAt + vectors;
  for (let term = 0; term < rows; term++) {
    for (let vector = 0; vector < vectors; vector++) {
      const source = { base: right.base, displacement: term * right.step + 4 * code.lanes * vector };
      emitLoad(code, rightAt + vector, source, vector === vectors - 1 ? mask : undefined);
    }
    for (let row = 0; row < rows; row++) {
      if (terms === 'up to the row' ? row < term : row > term) continue;
      code.broadcast(element, { base: left.base, displacement: term * left.step + row * left.rowStride });
      for (let vector = 0; vector < vectors; vector++)
        code.op('fma231', sumAt(tile, row, vector), element, rightAt + vector);
    }
  }
  code.addImmediate(left.base, rows * left.step);
  code.addImmediate(right.base, rows * right.step);
}
