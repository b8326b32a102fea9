import { type AttentionShape, selfAttentionGradientKernel, selfAttentionKernel } from '@pavlov/kernels';
import { extensionOf, type GraphBuilder, type Operand } from '../operand';
import type { Rules, SelfAttentionAttributes } from './kernels';

const shapeOf = (
  { shape: [rows, packed] }: Operand,
  { heads, length }: SelfAttentionAttributes,
  { precision }: GraphBuilder,
): AttentionShape => ({ batch: rows / length, length, heads, size: packed / 3 / heads, precision });

/** Attention of whole sequences to themselves. See primitives/self-attention.ts for what it computes. */
export const attentionRules: Rules<'PavlovSelfAttention' | 'PavlovSelfAttentionGradient'> = {
  PavlovSelfAttention: ({ qkv }, attributes, builder) => {
    const kernel = selfAttentionKernel(extensionOf(builder), shapeOf(qkv, attributes, builder));
    return builder.kernel(kernel, [qkv]).slice(0, 2);
  },

  PavlovSelfAttentionGradient: ({ qkv, y, statistics, dy }, attributes, builder) => {
    const kernel = selfAttentionGradientKernel(extensionOf(builder), shapeOf(qkv, attributes, builder));
    return builder.kernel(kernel, [qkv, y, statistics, dy]).slice(0, 1);
  },
};
