import { type JobPayload, type RewardFunctionInfo } from '@pavlov/contracts';
import { builtInRewards, describeRewardFunctions } from '@pavlov/rewards';
import { advertisedRewardFunctions, type Broker } from '@pavlov/service-kit';
import { type Problem } from '../http/bad-request';
import { nearest } from '../http/nearest';
import { isOf } from './facts';
import { type PlannedJob } from './plan';

/** The reward functions that a config may name: those built in, and those that the ppo service has besides. */
export async function knownRewardFunctions(broker: Broker): Promise<RewardFunctionInfo[]> {
  const all = [...describeRewardFunctions(builtInRewards), ...(await advertisedRewardFunctions(broker))];
  return [...new Map(all.map((one) => [one.name, one])).values()];
}

/** A reward function that a config names, and where. */
interface Named {
  readonly field: string;
  readonly name: string;
}

function namedBy(payload: JobPayload): Named[] {
  if (!isOf(payload, 'ppo')) return [];
  const { rewardFunctions, monitor } = payload.config;
  const sources = [
    ...rewardFunctions.map((source, index) => ({ field: `rewardFunctions.${index}.name`, source })),
    { field: 'monitor.heldOut.name', source: monitor.heldOut },
  ];
  return sources.flatMap(({ field, source }) => (source?.kind === 'function' ? [{ field, name: source.name }] : []));
}

/** Only a reward function that the ppo service has can be called. */
export async function checkRewardFunctions(
  { payload, field: prefix }: PlannedJob,
  functions: () => Promise<readonly RewardFunctionInfo[]>,
): Promise<Problem[]> {
  const named = namedBy(payload);
  if (named.length === 0) return [];
  const known = (await functions()).map(({ name }) => name);
  return named
    .filter(({ name }) => !known.includes(name))
    .map(({ field, name }) => {
      const meant = nearest(name, known);
      return {
        code: 'UNKNOWN_REWARD_FUNCTION',
        field: `${prefix}.${field}`,
        message: `There is no reward function “${name}”. There are: ${known.join(', ')}.`,
        hint:
          meant === undefined
            ? 'Start the ppo service with PAVLOV_REWARDS naming the module that exports it, or name another.'
            : `Did you mean \`${meant}\`?`,
      };
    });
}
