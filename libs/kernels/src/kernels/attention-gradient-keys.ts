/** The part of self-attention's gradient that sums over queries: dk += dsᵀ · q and dv += pᵀ · dy. */
import { type Assembler } from '../assembler';
import { type Gpr, r10, r11, r8, r9, rcx, rdi, rdx, rsi } from '../encoding';
import { countDown, emitLoad, emitStore } from '../lanes';
import { emitProduct, type Tile, zeroSums } from '../tile';
import { dqkv, dy, firstKey, firstQuery, type GradientContext, qkv, scratch } from './attention-gradient-context';
import { eachSum, panelMask } from './attention-geometry';
import { emitTriangle } from './attention-triangle';

/** The two gradients of keys: a factor from the stack times rows of the queries' block. */
interface DKeys {
  readonly factorAt: number;
  readonly source: Gpr;
  readonly sourceRow: number;
  readonly target: number;
}

const dKeys = ({ weightsAt, dScoresAt, yRow, qkvRow, part }: GradientContext): DKeys[] => [
  { factorAt: weightsAt, source: dy, sourceRow: yRow, target: 2 * part },
  { factorAt: dScoresAt, source: qkv, sourceRow: qkvRow, target: part },
];

/** dk and dv of a tile of keys, from the queries of the same block: the first terms of the sums. */
export function emitDKeysOnDiagonal(
  code: Assembler,
  context: GradientContext,
  { key, count }: { key: number; count: number },
): void {
  const { blockRow, lanes, panels, qkvRow } = context;
  const rows = Math.min(context.rows, count - key);
  for (const { factorAt, source, sourceRow, target } of dKeys(context)) {
    for (const panel of panels) {
      const { vectors, first } = panel;
      const tile: Tile = {
        rows,
        vectors,
        left: { base: rsi, step: blockRow, rowStride: 4 },
        right: { base: rdi, step: sourceRow },
        depth: count - key - rows,
        depthIn: 'code',
        counter: rcx,
        mask: panelMask(code, panel, rcx),
      };
      code.lea(rsi, { base: scratch, displacement: factorAt + key * (blockRow + 4) });
      code.mulImmediate(rdi, firstKey, sourceRow);
      code.lea(rdi, { base: rdi, index: source, displacement: key * sourceRow + 4 * lanes * first });
      code.mulImmediate(rdx, firstKey, qkvRow);
      zeroSums(code, tile);
      emitTriangle(code, tile, 'from the row on');
      if (count > key + rows) emitProduct(code, tile);
      const place = { base: rdx, index: dqkv, displacement: target + key * qkvRow + 4 * lanes * first };
      eachSum(code, { tile, place, rowStride: qkvRow }, (sum, place, part) => emitStore(code, place, sum, part));
    }
  }
}

/** dk and dv of all keys of the block, from `count` queries below. */
export function emitDKeysBelow(code: Assembler, context: GradientContext, count: number): void {
  const { block, blockRow, lanes, panels, qkvRow, rows } = context;
  const [tileTarget, column] = [r10, rdx];
  const sources = [r8, r9];
  code.mulImmediate(tileTarget, firstKey, qkvRow);
  code.addGpr(tileTarget, dqkv);
  code.lea(column, { base: scratch });
  code.mov(rcx, firstQuery);
  dKeys(context).forEach(({ source, sourceRow }, i) => {
    code.mulImmediate(sources[i], rcx, sourceRow);
    code.addGpr(sources[i], source);
  });
  countDown(code, { counter: r11, count: block / rows }, () => {
    dKeys(context).forEach(({ factorAt, sourceRow, target }, i) => {
      for (const panel of panels) {
        const { vectors, first } = panel;
        const tile: Tile = {
          rows,
          vectors,
          left: { base: rsi, step: blockRow, rowStride: 4 },
          right: { base: rdi, step: sourceRow },
          depth: count,
          depthIn: 'code',
          counter: rcx,
          mask: panelMask(code, panel, rcx),
        };
        code.lea(rsi, { base: column, displacement: factorAt });
        code.lea(rdi, { base: sources[i], displacement: 4 * lanes * first });
        const sums = { tile, place: { base: tileTarget, displacement: target + 4 * lanes * first }, rowStride: qkvRow };
        eachSum(code, sums, (sum, place, part) => emitLoad(code, sum, place, part));
        emitProduct(code, tile);
        eachSum(code, sums, (sum, place, part) => emitStore(code, place, sum, part));
      }
    });
    code.addImmediate(column, 4 * rows);
    code.addImmediate(tileTarget, rows * qkvRow);
  });
}
