import { segmentSumKernel } from '@pavlov/kernels';
import { tf } from '../tf';
import { elementTypes } from '../onnx-encode';
import type { GraphBuilder, Operand } from '../operand';
import { sizeOf } from '../signature';
import type { Rules } from './kernels';
import { reshape } from './matmul';

type Name = 'GatherV2' | 'OneHot' | 'UnsortedSegmentSum';

/** Sums that a kernel makes once they are asked for. */
function segmentSum(builder: GraphBuilder, segments: Required<Operand>['segments'], shape: readonly number[]): Operand {
  let value: string | undefined;
  return {
    shape,
    dtype: 'float32',
    valueShape: shape,
    segments,
    get value() {
      value ??= reshape(builder, addSegments(builder, segments, shape), shape).value;
      return value;
    },
  };
}

/** The sums, or `onto` with the sums added to it. */
export function addSegments(
  builder: GraphBuilder,
  { x, ids }: Required<Operand>['segments'],
  target: Operand | readonly number[],
): Operand {
  const onto = 'shape' in target ? target : undefined;
  const shape = 'shape' in target ? target.shape : target;
  const [rows, columns] = x.shape;
  const kernel = segmentSumKernel(builder.extension!, { rows, columns, segments: shape[0], onto: onto !== undefined });
  const [sums] = builder.kernel(kernel, [x, ids, ...(onto ? [onto] : [])]);
  return reshape(builder, sums, shape);
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
