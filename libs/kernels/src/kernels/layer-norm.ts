/**
 * Layer normalisation of rows and its gradient (Ba, Kiros, Hinton 2016), with the biased variance:
 *   x̂ = (x − mean) / √(variance + ε), y = γ x̂ + β
 *   dx = (g − mean(g) − x̂ · mean(g x̂)) / √(variance + ε), g = dy γ;   dγ = Σ dy x̂, dβ = Σ dy over the rows
 */
import { type Assembler } from '../assembler';
import { r10, r11, r8, r9, rbp, rbx, rcx, rdx, rax, rsi, type Vec, type VectorExtension } from '../encoding';
import { assembleKernel, type Kernel, type PhaseSource } from '../kernel';
import {
  blocksOf,
  emitReduction,
  emitRow,
  emitRows,
  emitZeros,
  loadPart,
  loadPointers,
  type Matrix,
  type Part,
  setTailMask,
  storePart,
  sumPhase,
  tailMask,
} from '../rows';

const unrolled = 4;

/** x [N, C], γ [C], β [C] → y [N, C], mean [N], 1 / √(variance + ε) [N] */
export function layerNormKernel(extension: VectorExtension, matrix: Matrix & { readonly epsilon: number }): Kernel {
  const { rows, columns, epsilon } = matrix;
  const blocks = blocksOf(matrix);
  const [x, gamma, beta, y, means, inverses] = [rdx, rcx, r8, r9, r10, r11];
  const moving = [...[x, y].map((base) => ({ base, stride: 4 * columns })), ...[means, inverses].map((base) => ({ base, stride: 4 }))]; // prettier-ignore
  const sums: Vec[] = [0, 1, 2, 3];
  const [scratch, mean, inverse] = [8, 9, 10];

  const emitStatistics = (code: Assembler): void => {
    sums.forEach((sum) => code.zero(sum));
    emitRow(code, { columns, unrolled }, (part) => {
      loadPart(code, 4 + part.nth, { base: x, part });
      code.op('add', sums[part.nth], sums[part.nth], 4 + part.nth);
    });
    emitReduction(code, 'add', { of: sums, scratch });
    code.op('mul', mean, sums[0], code.number(1 / columns));
    sums.forEach((sum) => code.zero(sum));
    emitRow(code, { columns, unrolled }, (part) => {
      const centred = 4 + part.nth;
      loadPart(code, centred, { base: x, part });
      code.op('sub', centred, centred, mean);
      if (part.masked) code.keepMasked(centred, centred, tailMask(code));
      code.op('fma231', sums[part.nth], centred, centred);
    });
    emitReduction(code, 'add', { of: sums, scratch });
    code.op('mul', sums[0], sums[0], code.number(1 / columns));
    code.op('add', sums[0], sums[0], code.number(epsilon));
    code.sqrt(scratch, sums[0]);
    code.load(inverse, code.number(1));
    code.op('div', inverse, inverse, scratch);
  };
  const emit = (code: Assembler): void => {
    loadPointers(code, [x, gamma, beta, y, means, inverses]);
    setTailMask(code, columns);
    emitRows(code, { rows, blocks, moving }, () => {
      emitStatistics(code);
      code.storeOne({ base: means }, mean);
      code.storeOne({ base: inverses }, inverse);
      emitRow(code, { columns, unrolled }, (part) => {
        const value = part.nth;
        loadPart(code, value, { base: x, part });
        code.op('sub', value, value, mean);
        code.op('mul', value, value, inverse);
        loadPart(code, 4 + part.nth, { base: gamma, part });
        loadPart(code, scratch, { base: beta, part });
        code.op('fma213', value, 4 + part.nth, scratch);
        storePart(code, value, { base: y, part });
      });
    });
  };
  return assembleKernel(extension, {
    name: 'LayerNorm',
    inputs: ['float32', 'float32', 'float32'],
    outputs: [[rows, columns], [rows], [rows]].map((shape) => ({ type: 'float32', shape })),
    phases: [{ tasks: blocks.count, emit }],
  });
}

/** x [N, C], dy [N, C], γ [C], mean [N], 1 / √(variance + ε) [N] → dx [N, C], dγ [C], dβ [C], and sums of blocks */
export function layerNormGradientKernel(extension: VectorExtension, matrix: Matrix): Kernel {
  const { rows, columns } = matrix;
  const blocks = blocksOf(matrix);
  const partials = { source: 8, blocks: blocks.count, stride: 2 * columns, columns };
  return assembleKernel(extension, {
    name: 'LayerNormGradient',
    inputs: ['float32', 'float32', 'float32', 'float32', 'float32'],
    outputs: [[rows, columns], [columns], [columns], [blocks.count, 2, columns]].map((shape) => ({ type: 'float32', shape })), // prettier-ignore
    phases: [
      gradientPhase(matrix),
      sumPhase({ ...partials, target: 6 }),
      sumPhase({ ...partials, target: 7, offset: columns }),
    ],
  });
}

/** Rows of a block: dx, and the block's part of dγ and dβ. */
function gradientPhase(matrix: Matrix): PhaseSource {
  const { rows, columns } = matrix;
  const blocks = blocksOf(matrix);
  const stride = 4 * columns;
  const [x, dy, gamma, means, inverses, dx, dGamma, dBeta] = [rdx, rcx, r8, r9, r10, r11, rbx, rbp];
  const moving = [...[x, dy, dx].map((base) => ({ base, stride })), ...[means, inverses].map((base) => ({ base, stride: 4 }))]; // prettier-ignore
  const [alongG, alongNormal]: Vec[][] = [[0, 1], [2, 3]]; // prettier-ignore
  const [mean, inverse, scratch] = [12, 13, 14];
  const emit = (code: Assembler): void => {
    loadPointers(code, [x, dy, gamma, means, inverses, dx, dBeta, dBeta, dGamma]);
    code.mulImmediate(rax, rsi, 2 * stride);
    code.addGpr(dGamma, rax);
    code.lea(dBeta, { base: dGamma, displacement: stride });
    setTailMask(code, columns);
    emitZeros(code, { base: dGamma, columns, scratch });
    emitZeros(code, { base: dBeta, columns, scratch });

    /** Registers of x̂ and of dy. */
    const emitNormal = (part: Part): { normal: Vec; slope: Vec } => {
      const [normal, slope] = [4 + part.nth, 6 + part.nth];
      loadPart(code, normal, { base: x, part });
      loadPart(code, slope, { base: dy, part });
      code.op('sub', normal, normal, mean);
      code.op('mul', normal, normal, inverse);
      return { normal, slope };
    };
    emitRows(code, { rows, blocks, moving }, () => {
      code.broadcast(mean, { base: means });
      code.broadcast(inverse, { base: inverses });
      [...alongG, ...alongNormal].forEach((sum) => code.zero(sum));
      emitRow(code, { columns, unrolled: 2 }, (part) => {
        const { normal, slope } = emitNormal(part);
        const [g, sum] = [8 + part.nth, 10 + part.nth];
        loadPart(code, sum, { base: dGamma, part });
        code.op('fma231', sum, slope, normal);
        storePart(code, sum, { base: dGamma, part });
        loadPart(code, sum, { base: dBeta, part });
        code.op('add', sum, sum, slope);
        storePart(code, sum, { base: dBeta, part });
        loadPart(code, g, { base: gamma, part });
        code.op('mul', g, g, slope);
        code.op('add', alongG[part.nth], alongG[part.nth], g);
        code.op('fma231', alongNormal[part.nth], g, normal);
      });
      for (const sums of [alongG, alongNormal]) {
        emitReduction(code, 'add', { of: sums, scratch });
        code.op('mul', sums[0], sums[0], code.number(1 / columns));
      }
      emitRow(code, { columns, unrolled: 2 }, (part) => {
        const { normal, slope } = emitNormal(part);
        const g = 8 + part.nth;
        loadPart(code, g, { base: gamma, part });
        code.op('mul', g, g, slope);
        code.op('sub', g, g, alongG[0]);
        code.op('fnma231', g, normal, alongNormal[0]);
        code.op('mul', g, g, inverse);
        storePart(code, g, { base: dx, part });
      });
    });
  };
  return { tasks: blocks.count, emit };
}
