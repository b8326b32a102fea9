import { tf } from '../tf';
import type { GraphBuilder, Operand } from '../operand';
import { sizeOf } from '../signature';
import type { Rules } from './kernels';
import { reshape } from './matmul';

const positiveAxis = (axis: number, shape: readonly number[]): number => tf.util.parseAxisParam(axis, [...shape])[0];

const replaced = (shape: readonly number[], axis: number, size: number): number[] =>
  shape.map((n, i) => (i === axis ? size : n));

/** `shape` with a new axis of size 1. */
const inserted = (shape: readonly number[], axis: number): number[] => shape.toSpliced(axis, 0, 1);

function concat(builder: GraphBuilder, parts: readonly Operand[], axis: number): Operand {
  const size = parts.reduce((sum, part) => sum + part.shape[axis], 0);
  const { shape, dtype } = parts[0];
  return builder.node('Concat', parts, { shape: replaced(shape, axis, size), dtype, attributes: { axis } });
}

function split(
  builder: GraphBuilder,
  x: Operand,
  { axis, sizes }: { axis: number; sizes: readonly number[] },
): Operand[] {
  const outputs = builder.graph.nodeWithOutputs('Split', [builder.full(x), builder.graph.int64s(sizes)], {
    attributes: { axis },
    outputs: sizes.length,
  });
  return outputs.map((value, i) => builder.stored(value, { shape: replaced(x.shape, axis, sizes[i]), dtype: x.dtype }));
}

/** A copy of x with nothing of the other behind it: ONNX Runtime cannot make it earlier, and does not see that it could. */
function after(builder: GraphBuilder, x: Operand, other: Operand): Operand {
  const zero = builder.graph.int64s([0]);
  const nothing = builder.node('Slice', [other, zero, zero], {
    shape: replaced(other.shape, 0, 0),
    dtype: other.dtype,
  });
  const [flat, end] = [reshape(builder, x, [sizeOf(x.shape)]), reshape(builder, nothing, [0])];
  return reshape(builder, concat(builder, [flat, end], 0), x.shape);
}

// prettier-ignore
type Name =
  | 'Cast' | 'Concat' | 'ExpandDims' | 'Fill' | 'Identity' | 'OnesLike' | 'Pack' | 'PadV2' | 'Range' | 'Reshape' | 'Slice'
  | 'SplitV' | 'Tile' | 'Transpose' | 'Unpack' | 'ZerosLike' | 'PavlovAfter';

export const shapeRules: Rules<Name> = {
  Cast: ({ x }, { dtype }, builder) => builder.cast(x, dtype),
  Concat: (parts, { axis }, builder) => concat(builder, parts, positiveAxis(axis, parts[0].shape)),
  ExpandDims: ({ input }, { dim }, builder) =>
    reshape(builder, input, inserted(input.shape, dim < 0 ? dim + input.shape.length + 1 : dim)),
  Fill: (_, { shape, value, dtype }, builder) => builder.uniform(Number(value), { shape, dtype: dtype ?? 'float32' }),
  Identity: ({ x }) => x,
  OnesLike: ({ x }, _, builder) => builder.uniform(1, { shape: x.shape, dtype: x.dtype }),
  Pack: (parts, { axis }, builder) => {
    const at = axis < 0 ? axis + parts[0].shape.length + 1 : axis;
    return concat(
      builder,
      parts.map((part) => reshape(builder, part, inserted(part.shape, at))),
      at,
    );
  },
  PadV2: ({ x }, { paddings, constantValue }, builder) => {
    const shape = x.shape.map((size, i) => size + paddings[i][0] + paddings[i][1]);
    const pads = builder.graph.int64s([...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)]);
    const fill = builder.uniform(constantValue, { shape: [], dtype: x.dtype });
    return builder.node('Pad', [x, pads, fill], { shape, dtype: x.dtype });
  },
  Range: (_, { start, stop, step, dtype }, builder) => {
    const length = Math.max(0, Math.ceil((stop - start) / step));
    const values = Array.from({ length }, (_unused, i) => start + i * step);
    return builder.constant(values, { shape: [length], dtype: dtype ?? 'float32' });
  },
  Reshape: ({ x }, { shape }, builder) =>
    reshape(builder, x, tf.util.inferFromImplicitShape(shape as number[], sizeOf(x.shape))),
  Slice: ({ x }, { begin, size }, builder) => {
    const [starts, sizes] = tf.slice_util.parseSliceParams(
      { shape: [...x.shape], rank: x.shape.length } as tf.Tensor,
      begin,
      size,
    );
    const ends = starts.map((start, i) => start + sizes[i]);
    const axes = starts.map((_, i) => i);
    return builder.node('Slice', [x, ...[starts, ends, axes].map((list) => builder.graph.int64s(list))], {
      shape: sizes,
      dtype: x.dtype,
    });
  },
  SplitV: ({ x }, { numOrSizeSplits, axis }, builder) => {
    const along = positiveAxis(axis, x.shape);
    const sizes = tf.backend_util.prepareSplitSize({ shape: [...x.shape] } as tf.Tensor, numOrSizeSplits, along);
    return split(builder, x, { axis: along, sizes });
  },
  Tile: ({ x }, { reps }, builder) =>
    builder.node('Tile', [x, builder.graph.int64s(reps)], {
      shape: x.shape.map((size, i) => size * reps[i]),
      dtype: x.dtype,
    }),
  // The gradient of tf.gather asks for permutations that change nothing.
  Transpose: ({ x }, { perm }, builder) =>
    perm.every((axis, i) => axis === i)
      ? x
      : builder.node('Transpose', [x], {
          shape: perm.map((axis) => x.shape[axis]),
          dtype: x.dtype,
          attributes: { perm },
        }),
  Unpack: ({ value }, { axis }, builder) => {
    const along = positiveAxis(axis, value.shape);
    const shape = value.shape.filter((_, i) => i !== along);
    const sizes = Array.from({ length: value.shape[along] }, () => 1);
    return split(builder, value, { axis: along, sizes }).map((part) => reshape(builder, part, shape));
  },
  ZerosLike: ({ x }, _, builder) => builder.uniform(0, { shape: x.shape, dtype: x.dtype }),
  PavlovAfter: ({ x, other }, _, builder) => after(builder, x, other),
};
