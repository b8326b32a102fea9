/**
 * Closed forms that PPO runs are held against.
 *
 * Method: the policy that maximises E[r] − β · KL(π ‖ π_ref) is π*(y) ∝ π_ref(y) · exp(r(y) / β). Best-of-n sampling
 * moves at most ln n − (n − 1)/n nats from where it samples.
 * Reference: Ziegler et al. 2019 §2 and Korbak et al. 2022 (arXiv 2205.11275) for the optimum; Stiennon et al. 2020
 * appendix G.3 for best-of-n, exact when no two answers score the same and each is unlikely.
 * Leaves out: optima that cannot be enumerated.
 */
import { sharedLength } from '../check';
import { type Numbers } from '../rollouts/grid';

export interface KlOptimum {
  /** π*(y), one per response. */
  readonly probabilities: Float64Array;
  /** E[r] under π*. */
  readonly reward: number;
  /** KL(π* ‖ π_ref), nats. */
  readonly kl: number;
}

/**
 * The exact optimum over an enumerable set of responses.
 *
 * @param referenceLogprobs log π_ref(y) of every response.
 * @param rewards r(y).
 * @param coefficient β > 0.
 */
export function klOptimum(input: { referenceLogprobs: Numbers; rewards: Numbers; coefficient: number }): KlOptimum {
  const { referenceLogprobs, rewards, coefficient } = input;
  sharedLength({ referenceLogprobs, rewards });
  if (!(coefficient > 0)) throw new RangeError(`klOptimum: β must be positive, got ${coefficient}`);
  const logits = Float64Array.from(rewards, (reward, y) => referenceLogprobs[y] + reward / coefficient);
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const logTotal = largest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
  const probabilities = logits.map((logit) => Math.exp(logit - logTotal));
  let reward = 0;
  let kl = 0;
  probabilities.forEach((p, y) => {
    // 0 · log 0 is 0 in a KL, but NaN in floats.
    if (p === 0) return;
    reward += p * rewards[y];
    kl += p * (logits[y] - logTotal - referenceLogprobs[y]);
  });
  return { probabilities, reward, kl };
}

/** KL of best-of-n sampling from the policy that it samples, in nats. */
export function bestOfNKl(n: number): number {
  if (!Number.isInteger(n) || n < 1) throw new RangeError(`bestOfNKl: n must be a positive integer, got ${n}`);
  return Math.log(n) - (n - 1) / n;
}
