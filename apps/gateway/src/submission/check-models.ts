import { type Problem } from '../http/bad-request';
import { type Facts, isOf } from './facts';
import { type PlannedJob } from './plan';

/** The reward model must be of the build that PPO's options ask for. */
export async function checkModels({ payload, field }: PlannedJob, facts: Facts): Promise<Problem[]> {
  if (!isOf(payload, 'ppo') || payload.config.reward === undefined) return [];
  const { policy, reward, valueStart = 'reward', pessimism } = payload.config;
  const [{ width }, judge] = [await facts.model(policy), await facts.model(reward)];
  const problems: Problem[] = [];
  if (valueStart === 'reward' && judge.width !== width) {
    problems.push({
      code: 'MODEL_MISMATCH',
      field: `${field}.reward`,
      message: `The value network starts from “${reward}”, which is ${judge.width} wide; the policy “${policy}” is ${width} wide.`,
      hint: `Set \`valueStart\` to \`"policy"\`, or give a reward model that is ${width} wide.`,
    });
  }
  if (pessimism > 0 && judge.members === 1) {
    problems.push({
      code: 'CONFIG_CONFLICT',
      field: `${field}.pessimism`,
      message: `It weighs how far the members of an ensemble lie apart; “${reward}” is a single reward model.`,
      hint: 'Train an ensemble (reward-modeling’s `seeds` and `keep`), or leave it out.',
    });
  }
  return problems;
}
