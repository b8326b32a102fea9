import {
  type CacheSpec,
  cachedAttentionKernel,
  fillCacheKernel,
  linearRowsKernel,
  packMatrixKernel,
  sampleKernel,
} from '@pavlov/kernels';
import { extensionOf, type Operand } from '../operand';
import type { Rules } from './kernels';

type Name = 'PavlovFillCache' | 'PavlovLinearPanels' | 'PavlovPackMatrix' | 'PavlovSample' | 'PavlovStepAttention';

const cacheOf = ({ shape: [rows, heads, length], dtype }: Operand, qkv: Operand): CacheSpec => ({
  rows,
  heads,
  length,
  size: qkv.shape[1] / (3 * heads),
  precision: dtype === 'int32' ? 'bfloat16' : 'float32',
});

/** What decoding is made of. See primitives/ for what they compute. */
export const decodingRules: Rules<Name> = {
  PavlovStepAttention: ({ qkv, pastK, pastV, lengths }, _, builder) =>
    builder.kernel(cachedAttentionKernel(extensionOf(builder), cacheOf(pastK, qkv)), [qkv, pastK, pastV, lengths]),

  PavlovFillCache: ({ qkv, pastK, pastV }, { time }, builder) =>
    builder.kernel(fillCacheKernel(extensionOf(builder), { ...cacheOf(pastK, qkv), time }), [qkv, pastK, pastV]),

  PavlovPackMatrix: ({ w }, { order }, builder) => {
    const [first, second] = w.shape;
    const [inputs, outputs] = order === 'inputs first' ? [first, second] : [second, first];
    return builder.kernel(
      packMatrixKernel(extensionOf(builder), { inputs, outputs, order, precision: builder.precision }),
      [w],
    );
  },

  PavlovLinearPanels: ({ x, panels, b, residual }, { outputs, block, activation }, builder) => {
    const [rows, inputs] = x.shape;
    const spec = {
      rows,
      inputs,
      outputs,
      ...(block === undefined ? { precision: builder.precision } : { block }),
      activation,
      residual: residual !== undefined,
      threads: builder.threads,
    };
    const operands = [x, panels, b, ...(residual ? [residual] : [])];
    return builder.kernel(linearRowsKernel(extensionOf(builder), spec), operands);
  },

  PavlovSample: ({ logits, uniforms }, _, builder) => {
    const [rows, vocabulary] = logits.shape;
    return builder.kernel(sampleKernel(extensionOf(builder), { rows, vocabulary }), [logits, uniforms]);
  },
};
