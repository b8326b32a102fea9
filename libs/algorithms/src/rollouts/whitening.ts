/**
 * Whitening of rewards and advantages over all real tokens of a batch.
 *
 * Method: (x − mean) / √(variance + 1e-8) with the biased variance.
 * Reference: lm-human-preferences `whiten`; Huang et al. 2023, "The N implementation details of RLHF with PPO"
 * (docs/stages/ppo.md, detail 15).
 * Leaves out: running statistics across batches, and statistics shared between machines.
 */
import { maskedMoments } from './moments';
import { type Numbers } from './grid';

/** Inside the root, as in the reference. A constant batch becomes 0 rather than NaN. */
const EPSILON = 1e-8;

export interface WhiteningInput {
  readonly values: Numbers;
  /** 1 for a real token, 0 elsewhere. */
  readonly mask: Numbers;
}

/** Mean 0, variance 1. For advantages. Masked positions come back as 0. */
export function whiten({ values, mask }: WhiteningInput): Float32Array {
  const { mean, variance } = maskedMoments({ values, mask });
  return rescale({ values, mask }, { mean, variance, target: 0 });
}

/** Variance 1, mean as it was. For rewards: moving their mean would change what an episode is worth. */
export function whitenKeepingMean({ values, mask }: WhiteningInput): Float32Array {
  const { mean, variance } = maskedMoments({ values, mask });
  return rescale({ values, mask }, { mean, variance, target: mean });
}

function rescale(
  { values, mask }: WhiteningInput,
  { mean, variance, target }: { mean: number; variance: number; target: number },
): Float32Array {
  const scale = 1 / Math.sqrt(variance + EPSILON);
  return Float32Array.from(values, (value, i) => (mask[i] > 0 ? (value - mean) * scale + target : 0));
}
