/**
 * Exact figures of policies whose answers can all be enumerated. Every figure is a mean over prompts, x is a prompt, y an
 * answer, and all sums are in float64.
 *
 * Reference: for the optimum and for best-of-n, `klOptimum` and `bestOfNKl`.
 */
import { klOptimum } from '@pavlov/algorithms';

// Jest looks a global up slowly, and there are half a million answers.
const { abs, exp, log } = Math;

/** log π(y | x): one list over all answers for each prompt. */
export type Distribution = readonly Float64Array[];

/** What PPO is to solve. */
export interface Problem {
  readonly reference: Distribution;
  /** r(x, y). */
  readonly rewards: readonly Float64Array[];
}

/** Where a policy stands between reward and reference. */
export interface Standing {
  /** E[r]. */
  readonly reward: number;
  /** KL(π ‖ π_ref), nats per answer. */
  readonly kl: number;
}

export function standingOf(policy: Distribution, { reference, rewards }: Problem): Standing {
  return {
    reward: meanOver(policy, (logprobs, x) => expectation(logprobs, (y) => rewards[x][y])),
    kl: divergence(policy, reference),
  };
}

/** KL(p ‖ q), nats. */
export function divergence(p: Distribution, q: Distribution): number {
  return meanOver(p, (logprobs, x) => expectation(logprobs, (y) => logprobs[y] - q[x][y]));
}

/** The largest total variation over the prompts: how much probability would have to move, 0 to 1. */
export function totalVariation(p: Distribution, q: Distribution): number {
  const each = p.map((logprobs, x) =>
    logprobs.reduce((sum, logprob, y) => sum + abs(exp(logprob) - exp(q[x][y])) / 2, 0),
  );
  return Math.max(...each);
}

/** π* ∝ π_ref · exp(r / β). */
export function optimum({ reference, rewards }: Problem, coefficient: number): Distribution {
  return reference.map((referenceLogprobs, x) =>
    klOptimum({ referenceLogprobs, rewards: rewards[x], coefficient }).probabilities.map(log),
  );
}

/** J = E[r] − β · KL. */
export const objective = ({ reward, kl }: Standing, coefficient: number): number => reward - coefficient * kl;

/** What a policy has gained of J over the reference, as a share of what π* gains. */
export function shareOfGain(
  at: { policy: Standing; best: Standing; reference: Standing },
  coefficient: number,
): number {
  const start = objective(at.reference, coefficient);
  return (objective(at.policy, coefficient) - start) / (objective(at.best, coefficient) - start);
}

/**
 * The best of n answers of the reference, ties broken at random: of probability F(r)ⁿ − F(r⁻)ⁿ for a reward r, where F is
 * the reference's distribution function, and in proportion to the reference among equal rewards. Its KL stays below
 * ln n − (n − 1)/n for ties, and is that without.
 */
export function bestOf(n: number, { reference, rewards }: Problem): Distribution {
  return reference.map((logprobs, x) => {
    const shares = new Map<number, number>();
    logprobs.forEach((logprob, y) => shares.set(rewards[x][y], (shares.get(rewards[x][y]) ?? 0) + exp(logprob)));
    const factors = new Map<number, number>();
    let below = 0;
    for (const [reward, share] of [...shares].sort(([a], [b]) => a - b)) {
      factors.set(reward, ((below + share) ** n - below ** n) / share);
      below += share;
    }
    return logprobs.map((logprob, y) => logprob + log(factors.get(rewards[x][y])!));
  });
}

function expectation(logprobs: Float64Array, of: (y: number) => number): number {
  // What has probability 0 counts for nothing, even where its logarithm is −∞.
  return logprobs.reduce((sum, logprob, y) => (logprob === -Infinity ? sum : sum + exp(logprob) * of(y)), 0);
}

function meanOver(policy: Distribution, of: (logprobs: Float64Array, x: number) => number): number {
  return policy.reduce((sum, logprobs, x) => sum + of(logprobs, x), 0) / policy.length;
}
