export { builtInRewards } from './built-in';
export { loadRewardFunctions } from './load';
export { describeRewardFunctions, type Answer, type RewardFunction, type RewardFunctions } from './reward-function';
export { nameOf, namesOf, openReward, type Reward, type RewardSource, type ScoreOptions } from './reward';
