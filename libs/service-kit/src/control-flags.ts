import { type Broker, keys } from './keys';

/** What was asked of a job. Whoever runs the job looks here several times a second. */
export interface JobControl {
  readonly paused: boolean;
  readonly cancelled: boolean;
}

export async function readControl(broker: Broker, jobId: string): Promise<JobControl> {
  const [paused, cancelled] = await broker.redis.hmget(keys.control(broker, jobId), 'paused', 'cancelled');
  return { paused: paused !== null, cancelled: cancelled !== null };
}

export async function setFlag(broker: Broker, jobId: string, flag: keyof JobControl): Promise<void> {
  await broker.redis.hset(keys.control(broker, jobId), flag, 1);
}

export async function clearFlags(broker: Broker, jobId: string, ...flags: (keyof JobControl)[]): Promise<void> {
  await broker.redis.hdel(keys.control(broker, jobId), ...flags);
}
