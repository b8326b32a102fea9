import { attentionRules } from './attention';
import { decodingRules } from './decoding';
import { elementwiseRules } from './elementwise';
import { fusedRules } from './fused';
import { gatherRules } from './gather';
import type { KernelName, Rules } from './kernels';
import { logitsRules } from './logits';
import { matMulRules } from './matmul';
import { reduceRules } from './reduce';
import { shapeRules } from './shape';

/** Every kernel that can be traced. The type makes a missing rule a compile error. */
export const rules: Rules<KernelName> = {
  ...elementwiseRules,
  ...reduceRules,
  ...matMulRules,
  ...shapeRules,
  ...gatherRules,
  ...fusedRules,
  ...attentionRules,
  ...decodingRules,
  ...logitsRules,
};
