import { gemmKernel, type GemmSpec } from '@pavlov/kernels';
import { broadcastShape, extensionOf, type GraphBuilder, type Operand, sameShape } from '../operand';
import { sizeOf } from '../signature';
import type { Rules } from './kernels';

/**
 * Matrix product with optional transposition and no copies: a kernel of our own or `Gemm` for one matrix each,
 * ONNX Runtime's `FusedMatMul` for batches.
 */
export function matMul(
  builder: GraphBuilder,
  [a, b]: readonly [Operand, Operand],
  { transposeA, transposeB, alpha = 1 }: { transposeA: boolean; transposeB: boolean; alpha?: number },
): Operand {
  const rows = a.shape.at(transposeA ? -1 : -2)!;
  const columns = b.shape.at(transposeB ? -2 : -1)!;
  const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const shape = [...batch, rows, columns];
  const flags = { transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0, alpha: { float: alpha } };
  if (sizeOf(batch) > 1) {
    return builder.node('FusedMatMul', [a, b], { shape, dtype: a.dtype, domain: 'com.microsoft', attributes: flags });
  }
  const matrices = [a, b].map((x) => reshape(builder, x, x.shape.slice(-2)));
  if (builder.extension && alpha === 1) {
    const depth = a.shape.at(transposeA ? -2 : -1)!;
    return reshape(builder, gemm(builder, matrices, { rows, columns, depth, transposeA, transposeB }), shape);
  }
  return reshape(
    builder,
    builder.node('Gemm', matrices, { shape: [rows, columns], dtype: a.dtype, attributes: flags }),
    shape,
  );
}

/**
 * With fewer columns, or terms of a sum, a product is too little work to be worth rounding for: a head's single number above all. How
 * many rows there are must not matter, since they are what happens to be in a batch.
 */
const leastSide = 16;

/** By a kernel of our own, in the builder's precision: A, B and perhaps a bias. */
export function gemm(
  builder: GraphBuilder,
  factors: readonly Operand[],
  spec: Omit<GemmSpec, 'threads' | 'precision'>,
): Operand {
  const rounds = Math.min(spec.columns, spec.depth) >= leastSide;
  return builder.kernel(
    gemmKernel(builder.extension!, {
      ...spec,
      precision: rounds ? builder.precision : 'float32',
      threads: builder.threads,
    }),
    factors,
  )[0];
}

/** The same elements in another shape. */
export function reshape(builder: GraphBuilder, x: Operand, shape: readonly number[]): Operand {
  if (sameShape(x.shape, shape)) return x;
  if (x.uniform !== undefined) return builder.uniform(x.uniform, { shape, dtype: x.dtype });
  return builder.reshape(x, shape);
}

export const matMulRules: Rules<'BatchMatMul' | 'PavlovLinearGradient'> = {
  BatchMatMul: ({ a, b }, attributes, builder) => matMul(builder, [a, b], attributes),

  /** dyᵀ x (+ what was added up before), in the precision of many rows however few these are; and what waits for it can wait for. */
  PavlovLinearGradient: ({ x, dy, added }, _, builder) => {
    const [depth, columns] = x.shape;
    return builder.kernel(
      gemmKernel(extensionOf(builder), {
        rows: dy.shape[1],
        columns,
        depth,
        transposeA: true,
        added: added !== undefined,
        signals: true,
        precision: columns >= leastSide ? builder.precision : 'float32',
        threads: builder.threads,
      }),
      added ? [dy, x, added] : [dy, x],
    );
  },
};
