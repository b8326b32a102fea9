import { segmentSumKernel } from '@pavlov/kernels';
import { tf } from '../tf';
import { elementTypes } from '../onnx-encode';
import { deferred, extensionOf, type GraphBuilder, type Operand } from '../operand';
import { sizeOf } from '../signature';
import type { Rules } from './kernels';
import { reshape } from './matmul';

type Name = 'GatherV2' | 'OneHot' | 'UnsortedSegmentSum';

/** The rows x [N, C] added up by id, ids [N], in a tensor of the given shape. */
function segmentSum(
  builder: GraphBuilder,
  { x, ids }: Record<'x' | 'ids', Operand>,
  shape: readonly number[],
): Operand {
  const [rows, columns] = x.shape;
  const run = (onto: readonly Operand[]): Operand => {
    const kernel = segmentSumKernel(extensionOf(builder), {
      rows,
      columns,
      segments: shape[0],
      onto: onto.length > 0,
    });
    return reshape(builder, builder.kernel(kernel, [x, ids, ...onto])[0], shape);
  };
  let made: Operand | undefined;
  return deferred(shape, () => (made ??= run([])), { plus: (other) => (made ? undefined : run([other])) });
}

export const gatherRules: Rules<Name> = {
  GatherV2: ({ x, indices }, { axis, batchDims }, builder) => {
    if (batchDims) throw new Error('tf.gather with batchDims has no rule; gather from the flattened tensor instead');
    const along = tf.util.parseAxisParam(axis, [...x.shape])[0];
    const shape = [...x.shape.slice(0, along), ...indices.shape, ...x.shape.slice(along + 1)];
    return builder.node('Gather', [x, indices], { shape, dtype: x.dtype, attributes: { axis: along } });
  },
  // ONNX Runtime wants the indices as int64.
  OneHot: ({ indices }, { depth, onValue, offValue, dtype }, builder) => {
    const wide = builder.graph.node('Cast', [builder.full(indices)], { attributes: { to: elementTypes.int64 } });
    const inputs = [wide, builder.graph.int64s([depth]), builder.graph.floats([offValue, onValue])];
    const shape = [...indices.shape, depth];
    return builder.cast(builder.node('OneHot', inputs, { shape, dtype: 'float32', attributes: { axis: -1 } }), dtype);
  },
  // ScatterND(add) adds in parallel and in no fixed order. ScatterElements goes through the rows one by one, which gives the
  // same bits every time and still beats a product with one-hot rows. Ids must lie in [0, numSegments).
  UnsortedSegmentSum: ({ x, segmentIds }, { numSegments }, builder) => {
    const rows = sizeOf(segmentIds.shape);
    const shape = [numSegments, ...x.shape.slice(segmentIds.shape.length)];
    const width = sizeOf(shape.slice(1));
    const flat = reshape(builder, x, [rows, width]);
    if (builder.extension && x.dtype === 'float32')
      return segmentSum(builder, { x: flat, ids: reshape(builder, segmentIds, [rows]) }, shape);
    const ids = { ...reshape(builder, segmentIds, [rows, 1]), shape: [rows, width] };
    const zeros = builder.uniform(0, { shape: [numSegments, width], dtype: x.dtype });
    const attributes = { axis: 0, reduction: 'add' };
    return reshape(
      builder,
      builder.node('ScatterElements', [zeros, ids, flat], { shape: zeros.shape, dtype: x.dtype, attributes }),
      shape,
    );
  },
};
