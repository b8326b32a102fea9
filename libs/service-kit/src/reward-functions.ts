import { rewardFunctionInfo, type RewardFunctionInfo } from '@pavlov/contracts';
import { z } from 'zod';
import { type Broker, keys } from './keys';

/**
 * Tells the gateway which reward functions the ppo service has. The list replaces that of the service before: what was
 * taken out of a module is gone once the service has been restarted. Replicas must therefore all have the same module.
 */
export async function advertiseRewardFunctions(
  broker: Broker,
  functions: readonly RewardFunctionInfo[],
): Promise<void> {
  await broker.redis.set(keys.rewardFunctions(broker), JSON.stringify(functions));
}

/** What the ppo service that was started last has; nothing, if none ever was. */
export async function advertisedRewardFunctions(broker: Broker): Promise<RewardFunctionInfo[]> {
  const written = await broker.redis.get(keys.rewardFunctions(broker));
  return written === null ? [] : z.array(rewardFunctionInfo).parse(JSON.parse(written));
}
