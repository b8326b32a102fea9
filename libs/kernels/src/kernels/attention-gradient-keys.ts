/** The part of self-attention's gradient that sums over queries: dk += dsᵀ · q and dv += pᵀ · dy. */
import { type Assembler } from '../assembler';
import { type Gpr, type Label, type Memory, r10, r11, r8, r9, rcx, rdi, rdx, rsi } from '../encoding';
import { countDown, emitLoad, emitStore } from '../lanes';
import { emitProduct, type Tile, zeroSums } from '../tile';
import { dqkv, firstKey, firstQuery, type GradientContext, scratch } from './attention-gradient-context';
import { eachSum, panelMask, stepsPerRound, type TokenRows } from './attention-geometry';
import { emitProductBeside, emitTriangle } from './attention-triangle';

/** The two gradients of keys: a factor from the stack times rows of the queries' block. */
interface DKeys {
  readonly factorAt: number;
  readonly source: TokenRows;
  readonly target: number;
}

const dKeys = (context: GradientContext): DKeys[] => [
  { factorAt: context.weightColumnsAt, source: context.dysOverTokens, target: 2 * context.part },
  { factorAt: context.dScoreColumnsAt, source: context.queriesOverTokens, target: context.part },
];

/** Addresses of a tile of keys: its dk and dv in dqkv, its columns on the stack; the rows of queries that its sums begin with. */
const [tileTarget, column, sources] = [r10, rdx, [r8, r9]];

/** Points to the first tile of the block, and to the queries whose number is in `query`. */
function emitPointers(code: Assembler, context: GradientContext, query: Gpr | Memory): void {
  code.mulImmediate(tileTarget, firstKey, context.qkvRow);
  code.addGpr(tileTarget, dqkv);
  code.lea(column, { base: scratch });
  code.mov(rcx, query);
  dKeys(context).forEach(({ source }, i) => {
    code.mulImmediate(sources[i], rcx, source.row);
    code.addGpr(sources[i], source.base);
  });
}

/** dk and dv of the `count` keys of a block, from its own queries: the first terms of the sums. */
export function emitDKeysOnDiagonal(code: Assembler, context: GradientContext, count: number): void {
  const { terms, blockRow, qkvRow, rows } = context;
  const steps = r11; // behind the tile's square
  const rest = count % rows;
  const behindLast = Math.ceil(rest / terms);
  emitPointers(code, context, firstKey);
  if (count >= rows) {
    const next: Label = {};
    code.movImmediate(steps, Math.ceil((count - rows) / terms));
    code.place(next);
    emitDKeysTile(code, context, { rows, steps });
    code.addImmediate(column, rows * (blockRow + 4));
    code.addImmediate(tileTarget, rows * qkvRow);
    dKeys(context).forEach(({ source }, i) => code.addImmediate(sources[i], rows * source.row));
    code.addImmediate(steps, -rows / terms);
    code.compareImmediate(steps, behindLast);
    code.jumpIf('greaterOrEqual', next);
  }
  if (rest > 0) emitDKeysTile(code, context, { rows: rest });
}

function emitDKeysTile(
  code: Assembler,
  context: GradientContext,
  { rows, steps }: { rows: number; steps?: Gpr },
): void {
  const { terms, precision, blockRow, lanes, panels, qkvRow } = context;
  dKeys(context).forEach(({ factorAt, source, target }, i) => {
    for (const panel of panels) {
      const { vectors, first } = panel;
      const tile = {
        rows,
        vectors,
        precision,
        left: { base: rsi, step: terms * blockRow, rowStride: 4 },
        right: { base: rdi, step: terms * source.row },
        depth: rcx,
        depthIn: 'register',
        mask: panelMask(code, panel, rcx),
      } as const;
      code.lea(rsi, { base: column, displacement: factorAt });
      code.lea(rdi, { base: sources[i], displacement: source.at + 4 * lanes * first });
      zeroSums(code, tile);
      emitTriangle(code, tile, 'from the row on');
      if (steps !== undefined) emitProductBeside(code, tile, { base: steps });
      const place = { base: tileTarget, displacement: target + 4 * lanes * first };
      eachSum(code, { tile, place, rowStride: qkvRow }, (sum, place, part) => emitStore(code, place, sum, part));
    }
  });
}

/** dk and dv of all keys of the block, from `count` queries below. */
export function emitDKeysBelow(code: Assembler, context: GradientContext, count: number): void {
  const { block, terms, precision, blockRow, lanes, panels, qkvRow, rows } = context;
  emitPointers(code, context, firstQuery);
  countDown(code, { counter: r11, count: block / rows }, () => {
    dKeys(context).forEach(({ factorAt, source, target }, i) => {
      for (const panel of panels) {
        const { vectors, first } = panel;
        const tile: Tile = {
          rows,
          vectors,
          precision,
          left: { base: rsi, step: terms * blockRow, rowStride: 4 },
          right: { base: rdi, step: terms * source.row },
          depth: Math.ceil(count / terms),
          depthIn: 'code',
          counter: rcx,
          stepsPerRound,
          mask: panelMask(code, panel, rcx),
        };
        code.lea(rsi, { base: column, displacement: factorAt });
        code.lea(rdi, { base: sources[i], displacement: source.at + 4 * lanes * first });
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
