import { type Assembler } from './assembler';
import { type Vec } from './encoding';

/**
 * Transposes a square of as many vectors as a vector has lanes, all in registers: rows in the first half of the registers, and
 * after it columns in those that are returned. Uses every register.
 */
export function emitTranspose(code: Assembler): Vec[] {
  const { lanes } = code;
  const rows = Array.from({ length: lanes }, (_, i) => i);
  const other = rows.map((row) => row + lanes);
  // Within blocks of four lanes: pairs of numbers, then of pairs.
  for (let i = 0; i < lanes; i += 2) {
    code.op('unpackLow', other[i], rows[i], rows[i + 1]);
    code.op('unpackHigh', other[i + 1], rows[i], rows[i + 1]);
  }
  for (let i = 0; i < lanes; i += 4) {
    code.op('unpackLow64', rows[i], other[i], other[i + 2]);
    code.op('unpackHigh64', rows[i + 1], other[i], other[i + 2]);
    code.op('unpackLow64', rows[i + 2], other[i + 1], other[i + 3]);
    code.op('unpackHigh64', rows[i + 3], other[i + 1], other[i + 3]);
  }
  // Then the blocks: rows[4i + j] holds in its block l the column 4l + j of the rows from 4i on.
  const columns: Vec[] = [];
  for (let j = 0; j < 4; j++) {
    const blocks = Array.from({ length: lanes / 4 }, (_, i) => rows[4 * i + j]);
    const free = Array.from({ length: lanes / 4 }, (_, i) => other[4 * i + j]);
    if (code.extension === 'avx512') {
      code.shuffleBlocks(free[0], blocks[0], blocks[1], 0x88);
      code.shuffleBlocks(free[1], blocks[2], blocks[3], 0x88);
      code.shuffleBlocks(free[2], blocks[0], blocks[1], 0xdd);
      code.shuffleBlocks(free[3], blocks[2], blocks[3], 0xdd);
      code.shuffleBlocks(blocks[0], free[0], free[1], 0x88);
      code.shuffleBlocks(blocks[1], free[2], free[3], 0x88);
      code.shuffleBlocks(blocks[2], free[0], free[1], 0xdd);
      code.shuffleBlocks(blocks[3], free[2], free[3], 0xdd);
      blocks.forEach((register, l) => (columns[4 * l + j] = register));
    } else {
      code.shuffleBlocks(free[0], blocks[0], blocks[1], 0x20);
      code.shuffleBlocks(free[1], blocks[0], blocks[1], 0x31);
      free.forEach((register, l) => (columns[4 * l + j] = register));
    }
  }
  return columns;
}
