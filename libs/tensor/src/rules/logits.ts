import {
  entropyGradientKernel,
  entropyKernel,
  tokenLogprobsGradientKernel,
  tokenLogprobsKernel,
} from '@pavlov/kernels';
import { extensionOf, matrixOf } from '../operand';
import type { Rules } from './kernels';

type Name = 'PavlovEntropy' | 'PavlovEntropyGradient' | 'PavlovTokenLogprobs' | 'PavlovTokenLogprobsGradient';

/** What is made of logits without ever writing their softmax down. */
export const logitsRules: Rules<Name> = {
  PavlovEntropy: ({ logits, temperature }, { excluded }, builder) =>
    builder.kernel(entropyKernel(extensionOf(builder), { ...matrixOf(logits), excluded }), [logits, temperature]),

  PavlovEntropyGradient: ({ logits, temperature, value, statistics, dy }, { excluded }, builder) =>
    builder.kernel(entropyGradientKernel(extensionOf(builder), { ...matrixOf(logits), excluded }), [
      logits,
      temperature,
      value,
      statistics,
      dy,
    ]),

  PavlovTokenLogprobs: ({ logits, targets, temperature }, { excluded }, builder) =>
    builder.kernel(tokenLogprobsKernel(extensionOf(builder), { ...matrixOf(logits), excluded }), [
      logits,
      targets,
      temperature,
    ]),

  PavlovTokenLogprobsGradient: ({ logits, targets, temperature, statistics, dy }, { excluded }, builder) =>
    builder.kernel(tokenLogprobsGradientKernel(extensionOf(builder), { ...matrixOf(logits), excluded }), [
      logits,
      targets,
      temperature,
      statistics,
      dy,
    ]),
};
