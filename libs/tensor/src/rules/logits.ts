import {
  entropyGradientKernel,
  entropyKernel,
  tokenLogprobsGradientKernel,
  tokenLogprobsKernel,
} from '@pavlov/kernels';
import { kernelsOf, matrixOf } from './fused';
import type { Rules } from './kernels';

type Name = 'PavlovEntropy' | 'PavlovEntropyGradient' | 'PavlovTokenLogprobs' | 'PavlovTokenLogprobsGradient';

/** What is made of logits without ever writing their softmax down. */
export const logitsRules: Rules<Name> = {
  PavlovEntropy: ({ logits, temperature }, { excluded }, builder) =>
    builder.kernel(entropyKernel(kernelsOf(builder), { ...matrixOf(logits), excluded }), [logits, temperature]),

  PavlovEntropyGradient: ({ logits, temperature, value, statistics, dy }, { excluded }, builder) =>
    builder.kernel(entropyGradientKernel(kernelsOf(builder), { ...matrixOf(logits), excluded }), [
      logits,
      temperature,
      value,
      statistics,
      dy,
    ]),

  PavlovTokenLogprobs: ({ logits, targets, temperature }, { excluded }, builder) =>
    builder.kernel(tokenLogprobsKernel(kernelsOf(builder), { ...matrixOf(logits), excluded }), [
      logits,
      targets,
      temperature,
    ]),

  PavlovTokenLogprobsGradient: ({ logits, targets, temperature, statistics, dy }, { excluded }, builder) =>
    builder.kernel(tokenLogprobsGradientKernel(kernelsOf(builder), { ...matrixOf(logits), excluded }), [
      logits,
      targets,
      temperature,
      statistics,
      dy,
    ]),
};
