/**
 * Layer normalisation of rows and its gradient (Ba, Kiros, Hinton 2016), with the biased variance:
 *   x̂ = (x − mean) / √(variance + ε), y = γ x̂ + β
 *   dx = (g − mean(g) − x̂ · mean(g x̂)) / √(variance + ε), g = dy γ;   dγ = Σ dy x̂, dβ = Σ dy over the rows
 */
import { type Assembler } from '../assembler';
import { r10, r11, r12, r13, r8, r9, rbp, rbx, rcx, rdx, rax, rsi, type Vec, type VectorExtension } from '../encoding';
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

export interface LayerNormSpec extends Matrix {
  readonly epsilon: number;
  /** There is a fourth input, [N, C], that is added to x first; the sum is the fourth output. */
  readonly adds: boolean;
}

/** x [N, C], γ [C], β [C] → y [N, C], mean [N], 1 / √(variance + ε) [N] */
export function layerNormKernel(extension: VectorExtension, spec: LayerNormSpec): Kernel {
  const { rows, columns, epsilon, adds } = spec;
  const blocks = blocksOf(spec);
  const [input, gamma, beta, y, means, inverses, added, sum] = [rdx, rcx, r8, r9, r10, r11, rbx, rbp];
  const x = adds ? sum : input; // what is normalised
  const matrices = adds ? [input, y, added, sum] : [input, y];
  const moving = [
    ...matrices.map((base) => ({ base, stride: 4 * columns })),
    ...[means, inverses].map((base) => ({ base, stride: 4 })),
  ];
  const sums: Vec[] = [0, 1, 2, 3];
  const [scratch, mean, inverse] = [8, 9, 10];

  const emitStatistics = (code: Assembler): void => {
    sums.forEach((sum) => code.zero(sum));
    emitRow(code, { columns, unrolled }, (part) => {
      const value = 4 + part.nth;
      loadPart(code, value, { base: input, part });
      if (adds) {
        loadPart(code, scratch, { base: added, part });
        code.op('add', value, value, scratch);
        storePart(code, value, { base: sum, part });
      }
      code.op('add', sums[part.nth], sums[part.nth], value);
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
    loadPointers(code, [input, gamma, beta, ...(adds ? [added] : []), y, means, inverses, ...(adds ? [sum] : [])]);
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
    inPlace: true,
    inputs: ['float32', 'float32', 'float32', ...(adds ? (['float32'] as const) : [])],
    outputs: [[rows, columns], [rows], [rows], ...(adds ? [[rows, columns]] : [])].map((shape) => ({
      type: 'float32',
      shape,
    })),
    phases: [{ tasks: blocks.count, emit }],
  });
}

export interface LayerNormGradientSpec extends Matrix {
  /** There is a sixth input, [N, C], that is added to dx: the gradient that comes around the normalisation. */
  readonly adds: boolean;
}

/**
 * x [N, C], dy [N, C], γ [C], mean [N], 1 / √(variance + ε) [N] → dx [N, C], dγ [C], dβ [C], the sums of the columns of dx [C], and
 * sums of blocks
 */
export function layerNormGradientKernel(extension: VectorExtension, spec: LayerNormGradientSpec): Kernel {
  const { rows, columns, adds } = spec;
  const blocks = blocksOf(spec);
  const inputs = adds ? 6 : 5;
  const sums = (nth: number): PhaseSource =>
    sumPhase({
      source: inputs + 4,
      target: inputs + 1 + nth,
      blocks: blocks.count,
      offset: nth * columns,
      stride: 3 * columns,
      columns,
    });
  return assembleKernel(extension, {
    name: 'LayerNormGradient',
    inPlace: true,
    inputs: Array.from({ length: inputs }, () => 'float32'),
    outputs: [[rows, columns], [columns], [columns], [columns], [blocks.count, 3, columns]].map((shape) => ({ type: 'float32', shape })), // prettier-ignore
    phases: [gradientPhase(spec), sums(0), sums(1), sums(2)],
  });
}

/** Rows of a block: dx, and the block's part of the sums. */
function gradientPhase(spec: LayerNormGradientSpec): PhaseSource {
  const { rows, columns, adds } = spec;
  const blocks = blocksOf(spec);
  const stride = 4 * columns;
  const [x, dy, gamma, means, inverses, added, dx] = [rdx, rcx, r8, r9, r10, r13, r11];
  const [dGamma, dBeta, total] = [rbx, rbp, r12];
  const moving = [
    ...[x, dy, dx, ...(adds ? [added] : [])].map((base) => ({ base, stride })),
    ...[means, inverses].map((base) => ({ base, stride: 4 })),
  ];
  const [alongG, alongNormal]: Vec[][] = [[0, 1], [2, 3]]; // prettier-ignore
  const [mean, inverse, scratch] = [12, 13, 14];
  const emit = (code: Assembler): void => {
    loadPointers(code, [x, dy, gamma, means, inverses, ...(adds ? [added] : []), dx, rax, rax, rax, dGamma]);
    code.mulImmediate(rax, rsi, 3 * stride);
    code.addGpr(dGamma, rax);
    code.lea(dBeta, { base: dGamma, displacement: stride });
    code.lea(total, { base: dGamma, displacement: 2 * stride });
    setTailMask(code, columns);
    for (const base of [dGamma, dBeta, total]) emitZeros(code, { base, columns, scratch });

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
        if (adds) {
          loadPart(code, slope, { base: added, part });
          code.op('add', g, g, slope);
        }
        storePart(code, g, { base: dx, part });
        loadPart(code, slope, { base: total, part });
        code.op('add', slope, slope, g);
        storePart(code, slope, { base: total, part });
      });
    });
  };
  return { tasks: blocks.count, emit };
}
