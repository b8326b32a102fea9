export { loadCheckpoint, publishCheckpoint, type LoadedCheckpoint, type PublishingContext } from './checkpoints';
export { openEngine, openSamplingEngine } from './engine';
export { createLearner, type Learner, type OptimiserConfig } from './learner';
export { compileLmStep, type LmLoss, type LmStep, type LmStepOptions } from './lm-step';
export { openPretrainingMix, type MixedIn, type PretrainingMix } from './pretraining-mix';
export {
  createRewardModelScorer,
  loadRewardModel,
  type RewardModel,
  type RewardModelScorer,
  type RewardModelScores,
} from './reward-models';
export { readRows } from './rows';
export { openTextBatches, type TextBatches } from './text';
export { createGradientSum, graphsByShape, lengthsOf, paddingOf, sliceByLength, takeSlice, type Slice } from './slices';
export { putStates, statesOf, takeStates, windowOf, type Window } from './windows';
export { createThroughput, type Throughput } from './throughput';
