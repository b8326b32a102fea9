import { tf } from '../tf';
import type { GraphBuilder, Operand } from '../operand';
import { elementTypes } from '../onnx-encode';
import { sizeOf } from '../signature';
import type { Rules } from './kernels';
import { matMul, reshape } from './matmul';

/** One-hot rows along a new last axis. ONNX Runtime wants the indices as int64. */
function oneHot(
  builder: GraphBuilder,
  indices: Operand,
  { depth, off = 0, on = 1 }: { depth: number; off?: number; on?: number },
): Operand {
  const wide = builder.graph.node('Cast', [builder.full(indices)], { attributes: { to: elementTypes.int64 } });
  return builder.node('OneHot', [wide, builder.graph.int64s([depth]), builder.graph.floats([off, on])], {
    shape: [...indices.shape, depth],
    dtype: 'float32',
    attributes: { axis: -1 },
  });
}

type Name = 'GatherV2' | 'OneHot' | 'UnsortedSegmentSum';

export const gatherRules: Rules<Name> = {
  GatherV2: ({ x, indices }, { axis, batchDims }, builder) => {
    if (batchDims) throw new Error('tf.gather with batchDims has no rule; gather from the flattened tensor instead');
    const along = tf.util.parseAxisParam(axis, [...x.shape])[0];
    const shape = [...x.shape.slice(0, along), ...indices.shape, ...x.shape.slice(along + 1)];
    return builder.node('Gather', [x, indices], { shape, dtype: x.dtype, attributes: { axis: along } });
  },
  OneHot: ({ indices }, { depth, onValue, offValue, dtype }, builder) => {
    const hot = oneHot(builder, indices, { depth, off: offValue, on: onValue });
    return builder.cast(hot, dtype);
  },
  // ScatterND(add) adds in parallel and in no fixed order; a product with one-hot rows gives the same bits every time.
  UnsortedSegmentSum: ({ x, segmentIds }, { numSegments }, builder) => {
    const rows = sizeOf(segmentIds.shape);
    const shape = [numSegments, ...x.shape.slice(segmentIds.shape.length)];
    const hot = oneHot(builder, reshape(builder, segmentIds, [rows]), { depth: numSegments });
    const flat = reshape(builder, x, [rows, sizeOf(shape) / numSegments]);
    return reshape(builder, matMul(builder, [hot, flat], { transposeA: true, transposeB: false }), shape);
  },
};
