import { tf } from '../tf';
import type { GraphBuilder, Operand } from '../operand';
import type { Rule, Rules } from './kernels';

interface Reduction {
  readonly axis: number | number[];
  readonly keepDims: boolean;
}

/** Reduces along `axis`; with no axes the tensor stays as it is. */
function reduce(builder: GraphBuilder, op: string, x: Operand, { axis, keepDims }: Reduction): Operand {
  const axes = tf.util.parseAxisParam(axis, [...x.shape]);
  const shape = keepDims
    ? x.shape.map((size, i) => (axes.includes(i) ? 1 : size))
    : x.shape.filter((_, i) => !axes.includes(i));
  if (axes.length === 0) return x;
  return builder.node(op, [x, builder.graph.int64s(axes)], {
    shape,
    dtype: x.dtype,
    attributes: { keepdims: keepDims ? 1 : 0 },
  });
}

const cast = (builder: GraphBuilder, x: Operand, dtype: 'bool' | 'float32' | 'int32'): Operand =>
  x.dtype === dtype
    ? x
    : builder.node('Cast', [x], {
        shape: x.shape,
        dtype,
        attributes: { to: { float32: 1, int32: 6, bool: 9 }[dtype] },
      });

/** ONNX has no reduction of bool: over 0 and 1, "any" is the maximum and "all" the minimum. */
const reduceBool = (builder: GraphBuilder, op: string, x: Operand, reduction: Reduction): Operand =>
  cast(builder, reduce(builder, op, cast(builder, x, 'int32'), reduction), 'bool');

const normal = (axis: number, x: Operand): number => tf.util.parseAxisParam(axis, [...x.shape])[0];

const softmax =
  (op: string, axis: number | undefined) =>
  (builder: GraphBuilder, logits: Operand): Operand =>
    builder.node(op, [logits], {
      shape: logits.shape,
      dtype: logits.dtype,
      attributes: { axis: normal(axis ?? -1, logits) },
    });

type Name = 'All' | 'Any' | 'ArgMax' | 'Cumsum' | 'LogSoftmax' | 'Max' | 'Mean' | 'Min' | 'Softmax' | 'Sum';

export const reduceRules: Rules<Name> = {
  All: ({ x }, attributes, builder) => reduceBool(builder, 'ReduceMin', x, attributes),
  Any: ({ x }, attributes, builder) => reduceBool(builder, 'ReduceMax', x, attributes),
  Max: ({ x }, { reductionIndices, keepDims }, builder) =>
    reduce(builder, 'ReduceMax', x, { axis: reductionIndices, keepDims }),
  Mean: ({ x }, attributes, builder) => reduce(builder, 'ReduceMean', cast(builder, x, 'float32'), attributes),
  Min: ({ x }, attributes, builder) => reduce(builder, 'ReduceMin', x, attributes),
  Sum: ({ x }, attributes, builder) =>
    reduce(builder, 'ReduceSum', x.dtype === 'bool' ? cast(builder, x, 'int32') : x, attributes),

  ArgMax: ({ x }, { axis }, builder) => {
    const along = normal(axis, x);
    const shape = x.shape.filter((_, i) => i !== along);
    const found = builder.node('ArgMax', [x], { shape, dtype: 'int32', attributes: { axis: along, keepdims: 0 } });
    return builder.node('Cast', [found], { shape, dtype: 'int32', attributes: { to: 6 } });
  },
  Cumsum: (({ x }, { axis, exclusive, reverse }, builder) =>
    builder.node('CumSum', [x, scalarAxis(builder, normal(axis, x))], {
      shape: x.shape,
      dtype: x.dtype,
      attributes: { exclusive: exclusive ? 1 : 0, reverse: reverse ? 1 : 0 },
    })) satisfies Rule<'Cumsum'>,
  LogSoftmax: ({ logits }, { axis }, builder) => softmax('LogSoftmax', axis)(builder, logits),
  Softmax: ({ logits }, { dim }, builder) => softmax('Softmax', dim)(builder, logits),
};

const scalarAxis = (builder: GraphBuilder, axis: number): string =>
  builder.graph.constant(new Uint8Array(BigInt64Array.of(BigInt(axis)).buffer), { shape: [], type: 'int64' });
