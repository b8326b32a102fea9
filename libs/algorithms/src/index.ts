export { causalLmLoss } from './losses/language-model';
export { maskedMean, selectReal } from './losses/masked';
export { clippedPolicyLoss } from './losses/policy';
export { rankingLoss } from './losses/ranking';
export { clippedValueLoss } from './losses/value';

export { type Advantages, generalisedAdvantages } from './rollouts/gae';
export { type Numbers } from './rollouts/grid';
export { type KlEstimator, klEstimators, type KlInput, klK1, klK2, klK3 } from './rollouts/kl';
export { adaptiveKl, adaptiveKlOverHorizon, fixedKl, type KlController, type KlState } from './rollouts/kl-controller';
export { shuffledMinibatches } from './rollouts/minibatches';
export { maskedMoments, type Moments } from './rollouts/moments';
export { scoreUnfinished, tokenRewards } from './rollouts/rewards';
export {
  type PolicyStatistics,
  policyStatistics,
  type RolloutStatistics,
  rolloutStatistics,
  type ValueStatistics,
  valueStatistics,
} from './rollouts/statistics';
export { whiten, whitenKeepingMean } from './rollouts/whitening';

export { ensembleScores } from './reward/ensemble';
export {
  agreement,
  type Calibration,
  calibration,
  noiseCeiling,
  pairAccuracy,
  preferenceLoss,
  preferenceProbability,
  type ReliabilityBin,
  type Votes,
} from './reward/metrics';
export { centreOnDemonstrations, type Normalisation, normalise, scoreMoments, standardise } from './reward/normalisation';
export { type Pair, preferenceMargins, promptsWithPairs, rankingPairWeights, untiedPairs } from './reward/pairs';

export { bestOfNKl, type KlOptimum, klOptimum } from './evaluation/frontier';
export { type WinRate, winRate } from './evaluation/win-rate';

export {
  type Adam,
  type AdamOptions,
  type AdamState,
  type AdamUpdate,
  adamw,
  type EpsilonPlacement,
} from './optimisers/adamw';
export { updateAverage } from './optimisers/average';
export { accumulate, clipFactor, globalNorm } from './optimisers/gradients';
export { constantRate, cosineDecay, linearDecay, type Schedule, warmUp } from './optimisers/schedules';

export { assertFinite, assertFiniteGradients, NonFiniteError } from './health';

export { type Alarm, type Signal, signals } from './monitoring/alarms';
export { fitGoldLaw, type GoldLaw, type GoldPoint, goldReward } from './monitoring/gold-law';
export {
  type Breakdown,
  createGuards,
  type GuardLimits,
  type GuardObservation,
  type Guards,
} from './monitoring/guards';
export { createMonitor, type Monitor, type Monitored, type MonitorOptions } from './monitoring/monitor';
export { type MonitorObservation } from './monitoring/observation';
