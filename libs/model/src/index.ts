export { type Head, type TransformerConfig } from './config';
export { createResidualDropout, type ResidualDropout, type ResidualDropoutOptions } from './dropout';
export {
  hiddenStates,
  hiddenStatesForTraining,
  lmLogits,
  nextToken,
  type NextTokenInput,
  scalarScores,
  type NextToken,
  type TrainingPass,
  type Weights,
} from './forward';
export { createGenerator, type GenerateOptions, type Generation, type Generator } from './generator';
export { initParameters, initRewardParameters } from './init';
export { transformerLayout } from './layout';
export { loadModelFiles, type Model, type ModelFiles, saveModelFiles } from './model-files';
export {
  createRewardScorer,
  createScorer,
  type LogprobRequest,
  type RewardScorer,
  type Scorer,
  type ScorerShape,
} from './scorer';
