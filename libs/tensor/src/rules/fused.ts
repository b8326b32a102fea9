import { geluGradientKernel, geluKernel, layerNormGradientKernel, layerNormKernel } from '@pavlov/kernels';
import { deferred, extensionOf, type GraphBuilder, matrixOf, type Operand } from '../operand';
import type { Kernels, Rules } from './kernels';
import { gemm, matMul, reshape } from './matmul';

// prettier-ignore
type Name =
  | 'PavlovAddAt' | 'PavlovCachedAttention' | 'PavlovGelu' | 'PavlovLayerNorm' | 'PavlovLayerNormGradient' | 'PavlovLogSoftmax' | 'PavlovMatMul'
  | 'PavlovGeluGradient' | 'PavlovLinear' | 'PavlovLinearColumns' | 'PavlovLinearInt8' | 'PavlovTakeLast';

/** Of a sum that has not been made yet, the kernel makes both. */
function layerNorm(
  builder: GraphBuilder,
  { x, gamma, beta }: Record<'x' | 'gamma' | 'beta', Operand>,
  epsilon: number,
): Operand[] {
  const terms = x.sum && !x.sum.made ? x.sum.terms : undefined;
  const kernel = layerNormKernel(extensionOf(builder), { ...matrixOf(x), epsilon, adds: terms !== undefined });
  const [first, ...added] = terms ?? [x];
  const [y, mean, inverseDeviation, sum] = builder.kernel(kernel, [first, gamma, beta, ...added]);
  if (x.sum && terms) x.sum.made = reshape(builder, sum, x.shape);
  const statistics = [...x.shape.slice(0, -1), 1];
  return [reshape(builder, y, x.shape), ...[mean, inverseDeviation].map((one) => reshape(builder, one, statistics))];
}

/** A gradient that is added to dx is added by the kernel. */
function layerNormGradient(
  builder: GraphBuilder,
  { x, dy, gamma, mean, inverseDeviation }: Kernels['PavlovLayerNormGradient']['inputs'],
): Operand[] {
  const run = (added: readonly Operand[]): Operand[] => {
    const kernel = layerNormGradientKernel(extensionOf(builder), { ...matrixOf(x), adds: added.length > 0 });
    return builder.kernel(kernel, [x, dy, gamma, mean, inverseDeviation, ...added]);
  };
  let [alone, together]: (Operand[] | undefined)[] = [];
  const whole = ([dx, , , columnSums]: Operand[]): Operand => ({
    ...reshape(builder, dx, x.shape),
    columnSums: () => columnSums,
  });
  const dx = deferred(x.shape, () => whole((alone ??= run([]))), {
    columnSums: () => (alone ??= run([]))[3],
    plus: (other) => {
      if (alone ?? together) return undefined;
      together = run([other]);
      return whole(together);
    },
  });
  const vector = (nth: number): Operand => deferred(gamma.shape, () => (together ?? (alone ??= run([])))[nth]);
  return [dx, vector(1), vector(2)];
}

/** Kernels of our own: what ONNX Runtime does in one operator and tfjs in several. See primitives/ for what they compute. */
export const fusedRules: Rules<Name> = {
  PavlovAddAt: ({ x, indices, amounts }, _, builder) => {
    const [rows] = x.shape;
    const columns = [indices, amounts].map((operand) => reshape(builder, operand, [rows, 1]));
    const attributes = { axis: 1, reduction: 'add' };
    return builder.node('ScatterElements', [x, ...columns], { shape: x.shape, dtype: 'float32', attributes });
  },

  PavlovLayerNorm: ({ x, gamma, beta }, { epsilon }, builder) => {
    if (builder.extension) return layerNorm(builder, { x, gamma, beta }, epsilon);
    const names = builder.graph.nodeWithOutputs(
      'LayerNormalization',
      [x, gamma, beta].map((operand) => builder.full(operand)),
      { attributes: { axis: -1, epsilon: { float: epsilon } }, outputs: 3 },
    );
    const statistics = [...x.shape.slice(0, -1), 1];
    return names.map((name, i) => builder.stored(name, { shape: i === 0 ? x.shape : statistics, dtype: 'float32' }));
  },

  PavlovLayerNormGradient: (inputs, _, builder) => layerNormGradient(builder, inputs),

  PavlovGelu: ({ x }, _, builder) =>
    builder.extension
      ? builder.kernel(geluKernel(builder.extension, x.shape), [x])
      : builder.node('Gelu', [x], { shape: x.shape, dtype: 'float32', attributes: { approximate: 'tanh' } }),

  PavlovGeluGradient: ({ x, dy }, _, builder) => {
    const [dx, columnSums] = builder.kernel(geluGradientKernel(extensionOf(builder), matrixOf(x)), [x, dy]);
    return { ...reshape(builder, dx, x.shape), columnSums: () => columnSums };
  },

  PavlovLogSoftmax: ({ x }, _, builder) =>
    builder.node('LogSoftmax', [x], { shape: x.shape, dtype: 'float32', attributes: { axis: -1 } }),

  PavlovLinear: ({ x, w, b }, _, builder) =>
    builder.extension
      ? gemm(builder, [x, w, b], { rows: x.shape[0], columns: w.shape[1], depth: w.shape[0], bias: true })
      : builder.node('Gemm', [x, w, b], { shape: [x.shape[0], w.shape[1]], dtype: 'float32' }),

  PavlovLinearColumns: ({ w, b, x }, { transposed }, builder) =>
    builder.node('Gemm', [w, x, b], {
      shape: [w.shape[0], x.shape[transposed ? 1 : 0]],
      dtype: 'float32',
      attributes: { transB: transposed ? 0 : 1 },
    }),

  PavlovLinearInt8: ({ x, b }, { w }, builder) => {
    const { outputs, inputs, block } = w;
    const blocks = Math.ceil(inputs / block);
    const values = builder.graph.constant(w.values, { shape: [outputs, blocks, block], type: 'uint8' });
    const bytes = new Uint8Array(w.scales.buffer, w.scales.byteOffset, w.scales.byteLength);
    const scales = builder.graph.constant(bytes, { shape: [outputs, blocks], type: 'float32' });
    const names = [builder.full(x), values, scales, '', '', builder.full(b)];
    return builder.node('MatMulNBits', names, {
      shape: [x.shape[0], outputs],
      dtype: 'float32',
      domain: 'com.microsoft',
      attributes: { K: inputs, N: outputs, bits: 8, block_size: block, accuracy_level: 4 }, // 4: x in 8 bits, too
    });
  },

  PavlovMatMul: ({ a, b }, attributes, builder) => matMul(builder, [a, b], attributes),

  PavlovTakeLast: ({ x, indices }, _, builder) => {
    const [rows] = x.shape;
    const taken = builder.node('GatherElements', [x, reshape(builder, indices, [rows, 1])], {
      shape: [rows, 1],
      dtype: x.dtype,
      attributes: { axis: 1 },
    });
    return reshape(builder, taken, [rows]);
  },

  PavlovCachedAttention: ({ qkv, pastK, pastV, lengths, total }, _, builder) => {
    const one = builder.uniform(1, { shape: [], dtype: 'int32' });
    const lastPositions = builder.node('Sub', [lengths, one], { shape: lengths.shape, dtype: 'int32' });
    const [, heads, , size] = pastK.shape;
    const [packed, ...rest] = [qkv, pastK, pastV, lastPositions, total].map((operand) => builder.full(operand));
    const names = builder.graph.nodeWithOutputs('GroupQueryAttention', [packed, '', '', ...rest], {
      domain: 'com.microsoft',
      attributes: { num_heads: heads, kv_num_heads: heads },
      outputs: 3,
    });
    const y = [qkv.shape[0], qkv.shape[1], heads * size];
    return [y, pastK.shape, pastV.shape].map((shape, i) => builder.stored(names[i], { shape, dtype: 'float32' }));
  },
};
