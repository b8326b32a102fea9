/**
 * Per-token estimators of KL(π ‖ π_ref) from tokens that π sampled.
 *
 * Method, with x = log π − log π_ref of the token, and r = e^−x:
 *   k1 = x               unbiased, high variance, may be negative; the penalty of InstructGPT
 *   k2 = x² / 2          biased, never negative
 *   k3 = (r − 1) + x     unbiased, never negative
 * Reference: J. Schulman, "Approximating KL divergence" (2020); Ziegler et al. 2019 §2 for k1 as a penalty.
 * Leaves out: the exact KL over the whole vocabulary, and estimates from tokens that another policy sampled.
 */
import { sharedLength } from '../check';
import { type Numbers } from './grid';

export interface KlInput {
  /** log π of the sampled tokens, in nats. */
  readonly logprobs: Numbers;
  /** log π_ref of the same tokens, in nats. */
  readonly referenceLogprobs: Numbers;
}

/** One estimate per token, in nats. Positions outside the responses hold whatever their log-probs give: mask them. */
export type KlEstimator = (input: KlInput) => Float32Array;

export const klK1: KlEstimator = (input) => perToken(input, (x) => x);
export const klK2: KlEstimator = (input) => perToken(input, (x) => x ** 2 / 2);
// expm1 keeps k3 accurate near 0, where r − 1 would cancel.
export const klK3: KlEstimator = (input) => perToken(input, (x) => Math.expm1(-x) + x);

export const klEstimators = { k1: klK1, k2: klK2, k3: klK3 } as const satisfies Record<string, KlEstimator>;

function perToken({ logprobs, referenceLogprobs }: KlInput, estimate: (x: number) => number): Float32Array {
  sharedLength({ logprobs, referenceLogprobs });
  return Float32Array.from(logprobs, (logprob, i) => estimate(logprob - referenceLogprobs[i]));
}
