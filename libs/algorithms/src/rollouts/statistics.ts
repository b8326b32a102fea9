/**
 * What every PPO iteration logs (docs/stages/ppo.md), from arrays: nothing here is differentiated.
 *
 * Reference: Huang et al. 2023 for the names and formulas; J. Schulman (2020) for approxkl as half the mean squared
 * log-ratio. Where the reference takes the variance of the per-minibatch mean ratios, `ratioVariance` is the variance
 * over tokens: it also sees single tokens that run away.
 * Leaves out: throughput, and anything that needs more than one iteration.
 */
import { sharedLength } from '../check';
import { rowSums, type Numbers } from './grid';
import { maskedMoments } from './moments';

export interface RolloutStatistics {
  /** objective/kl: Σ_t KL_t per response, averaged; nats. */
  readonly kl: number;
  /** objective/entropy: −Σ_t log π per response, averaged; nats. An estimate from the sampled tokens. */
  readonly entropy: number;
  /** objective/scores: mean score, without the KL penalty. */
  readonly scores: number;
  /** objective/rlhf_reward: mean of score − β · penalty, the quantity that PPO maximises. */
  readonly rlhfReward: number;
  /** Share of responses that ended in EOS. */
  readonly eosFraction: number;
  /** Mean number of tokens per response, EOS included. */
  readonly responseLength: number;
}

/**
 * @param kl log π − log π_ref per token. @param penalty The estimate of it that is paid for.
 * @param kl, penalty, logprobs, mask Flat [B, T]. @param scores, finished B. @param coefficient β.
 */
export function rolloutStatistics(input: {
  kl: Numbers;
  penalty: Numbers;
  logprobs: Numbers;
  mask: Numbers;
  scores: Numbers;
  finished: readonly boolean[];
  coefficient: number;
}): RolloutStatistics {
  const { kl, penalty, logprobs, mask, scores, finished, coefficient } = input;
  sharedLength({ kl, penalty, logprobs, mask });
  const rows = sharedLength({ scores, finished });
  const perRow = (values: Numbers): number => mean(rowSums({ values, mask, rows }));
  const meanScore = mean(scores);
  return {
    kl: perRow(kl),
    entropy: -perRow(logprobs),
    scores: meanScore,
    rlhfReward: meanScore - coefficient * perRow(penalty),
    eosFraction: finished.filter(Boolean).length / rows,
    responseLength: perRow(mask),
  };
}

export interface PolicyStatistics {
  /** policy/approxkl: ½ · mean of (log π − log π_old)². 0 on the first minibatch of an iteration. */
  readonly approxkl: number;
  /** policy/clipfrac: share of tokens whose loss the clip changes. */
  readonly clipfrac: number;
  /** Mean of π / π_old over tokens. */
  readonly ratioMean: number;
  /** Biased variance of π / π_old over tokens. */
  readonly ratioVariance: number;
  /** Mean entropy of the next-token distributions, nats per token. */
  readonly entropy: number;
}

/** All inputs are flat and equally long; `entropies` are those of the full distributions. */
export function policyStatistics(input: {
  logprobs: Numbers;
  oldLogprobs: Numbers;
  advantages: Numbers;
  entropies: Numbers;
  mask: Numbers;
  clipRange: number;
}): PolicyStatistics {
  const { logprobs, oldLogprobs, advantages, entropies, mask, clipRange } = input;
  const length = sharedLength({ logprobs, oldLogprobs, advantages, entropies, mask });
  const halfSquares = new Float64Array(length);
  const ratios = new Float64Array(length);
  const clipped = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    const logRatio = logprobs[i] - oldLogprobs[i];
    const ratio = Math.exp(logRatio);
    halfSquares[i] = logRatio ** 2 / 2;
    ratios[i] = ratio;
    const clippedRatio = Math.min(Math.max(ratio, 1 - clipRange), 1 + clipRange);
    clipped[i] = -advantages[i] * clippedRatio > -advantages[i] * ratio ? 1 : 0;
  }
  const ratio = maskedMoments({ values: ratios, mask });
  return {
    approxkl: maskedMoments({ values: halfSquares, mask }).mean,
    clipfrac: maskedMoments({ values: clipped, mask }).mean,
    ratioMean: ratio.mean,
    ratioVariance: ratio.variance,
    entropy: maskedMoments({ values: entropies, mask }).mean,
  };
}

export interface ValueStatistics {
  /** val/clipfrac: share of tokens whose squared error the clip raises. */
  readonly clipfrac: number;
  /** 1 − Var(returns − values) / Var(returns): 1 is perfect, 0 is no better than a constant. 0 if the returns are constant. */
  readonly explainedVariance: number;
}

/** All inputs are flat and equally long. */
export function valueStatistics(input: {
  values: Numbers;
  oldValues: Numbers;
  returns: Numbers;
  mask: Numbers;
  clipRange: number;
}): ValueStatistics {
  const { values, oldValues, returns, mask, clipRange } = input;
  const length = sharedLength({ values, oldValues, returns, mask });
  const residuals = new Float64Array(length);
  const clipped = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    residuals[i] = returns[i] - values[i];
    const clippedValue = Math.min(Math.max(values[i], oldValues[i] - clipRange), oldValues[i] + clipRange);
    clipped[i] = (clippedValue - returns[i]) ** 2 > residuals[i] ** 2 ? 1 : 0;
  }
  const spread = maskedMoments({ values: returns, mask }).variance;
  const unexplained = maskedMoments({ values: residuals, mask }).variance;
  return {
    clipfrac: maskedMoments({ values: clipped, mask }).mean,
    explainedVariance: spread > 0 ? 1 - unexplained / spread : 0,
  };
}

function mean(values: Numbers): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}
