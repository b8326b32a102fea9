import { type AttentionShape, selfAttentionGradientKernel, selfAttentionKernel } from '@pavlov/kernels';
import { extensionOf, type Operand } from '../operand';
import type { Rules, SelfAttentionAttributes } from './kernels';

const shapeOf = ({ shape: [rows, packed] }: Operand, { heads, length }: SelfAttentionAttributes): AttentionShape => ({
  batch: rows / length,
  length,
  heads,
  size: packed / 3 / heads,
});

/** Attention of whole sequences to themselves. See primitives/self-attention.ts for what it computes. */
export const attentionRules: Rules<'PavlovSelfAttention' | 'PavlovSelfAttentionGradient'> = {
  PavlovSelfAttention: ({ qkv }, attributes, builder) =>
    builder.kernel(selfAttentionKernel(extensionOf(builder), shapeOf(qkv, attributes)), [qkv]),

  PavlovSelfAttentionGradient: ({ qkv, y, statistics, dy }, attributes, builder) => {
    const kernel = selfAttentionGradientKernel(extensionOf(builder), shapeOf(qkv, attributes));
    return builder.kernel(kernel, [qkv, y, statistics, dy]);
  },
};
