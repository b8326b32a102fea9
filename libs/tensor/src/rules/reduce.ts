import { columnSumKernel } from '@pavlov/kernels';
import { tf } from '../tf';
import type { GraphBuilder, Operand } from '../operand';
import { elementTypes } from '../onnx-encode';
import { sizeOf } from '../signature';
import type { Rules } from './kernels';
import { reshape } from './matmul';

interface Reduction {
  readonly op: string;
  readonly axis: number | number[];
  readonly keepDims: boolean;
}

/** Reduces along `axis`; with no axes the tensor stays as it is. */
function reduce(builder: GraphBuilder, x: Operand, { op, axis, keepDims }: Reduction): Operand {
  const axes = tf.util.parseAxisParam(axis, [...x.shape]);
  if (axes.length === 0) return x;
  const shape = keepDims
    ? x.shape.map((size, i) => (axes.includes(i) ? 1 : size))
    : x.shape.filter((_, i) => !axes.includes(i));
  const attributes = { keepdims: keepDims ? 1 : 0 };
  return builder.node(op, [x, builder.graph.int64s(axes)], { shape, dtype: x.dtype, attributes });
}

/** A sum over the first axes by a kernel, where there is one. */
function columnSums(builder: GraphBuilder, x: Operand, { axis, keepDims }: Omit<Reduction, 'op'>): Operand | undefined {
  const axes = tf.util.parseAxisParam(axis, [...x.shape]);
  const leading = axes.length > 0 && axes.length < x.shape.length && axes.every((axis) => axis < axes.length);
  if (!builder.extension || !leading || x.dtype !== 'float32' || sizeOf(x.shape) === 0) return undefined;
  const kept = x.shape.slice(axes.length);
  const columns = sizeOf(kept);
  const rows = sizeOf(x.shape) / columns;
  const left = axes.length === x.shape.length - 1 ? x.columnSums?.() : undefined;
  const sums = left ?? builder.kernel(columnSumKernel(builder.extension, { rows, columns }), [x])[0];
  return reshape(builder, sums, keepDims ? [...axes.map(() => 1), ...kept] : kept);
}

/** ONNX has no reduction of bool: over 0 and 1, "any" is the maximum and "all" the minimum. */
const reduceBool = (builder: GraphBuilder, x: Operand, reduction: Reduction): Operand =>
  builder.cast(reduce(builder, builder.cast(x, 'int32'), reduction), 'bool');

const positiveAxis = (axis: number, x: Operand): number => tf.util.parseAxisParam(axis, [...x.shape])[0];

type Name = 'All' | 'Any' | 'ArgMax' | 'Cumsum' | 'Max' | 'Mean' | 'Min' | 'Softmax' | 'Sum';

export const reduceRules: Rules<Name> = {
  All: ({ x }, attributes, builder) => reduceBool(builder, x, { ...attributes, op: 'ReduceMin' }),
  Any: ({ x }, attributes, builder) => reduceBool(builder, x, { ...attributes, op: 'ReduceMax' }),
  Max: ({ x }, { reductionIndices, keepDims }, builder) =>
    reduce(builder, x, { op: 'ReduceMax', axis: reductionIndices, keepDims }),
  Mean: ({ x }, attributes, builder) =>
    reduce(builder, builder.cast(x, 'float32'), { ...attributes, op: 'ReduceMean' }),
  Min: ({ x }, attributes, builder) => reduce(builder, x, { ...attributes, op: 'ReduceMin' }),
  Sum: ({ x }, attributes, builder) =>
    columnSums(builder, x, attributes) ??
    reduce(builder, x.dtype === 'bool' ? builder.cast(x, 'int32') : x, { ...attributes, op: 'ReduceSum' }),

  ArgMax: ({ x }, { axis }, builder) => {
    const along = positiveAxis(axis, x);
    const shape = x.shape.filter((_, i) => i !== along);
    const attributes = { axis: along, keepdims: 0 };
    // The operator counts in int64, which tfjs does not know; only the cast's result is seen as int32.
    const found = builder.graph.node('ArgMax', [builder.full(x)], { attributes });
    return builder.node('Cast', [found], { shape, dtype: 'int32', attributes: { to: elementTypes.int32 } });
  },
  Cumsum: ({ x }, { axis, exclusive, reverse }, builder) => {
    const bytes = new Uint8Array(BigInt64Array.of(BigInt(positiveAxis(axis, x))).buffer);
    const along = builder.graph.constant(bytes, { shape: [], type: 'int64' });
    const attributes = { exclusive: exclusive ? 1 : 0, reverse: reverse ? 1 : 0 };
    return builder.node('CumSum', [x, along], { shape: x.shape, dtype: x.dtype, attributes });
  },
  Softmax: ({ logits }, { dim }, builder) => {
    const attributes = { axis: positiveAxis(dim ?? -1, logits) };
    return builder.node('Softmax', [logits], { shape: logits.shape, dtype: logits.dtype, attributes });
  },
};
