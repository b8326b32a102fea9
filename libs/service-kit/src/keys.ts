import { type Redis } from 'ioredis';

/** Where jobs live: a Redis and the prefix of every key in it. On Redis Cluster the prefix must be a hash tag. */
export interface Broker {
  readonly redis: Redis;
  readonly prefix: string;
}

/** Names of the keys that Pavlov keeps beside BullMQ's own, which are `<prefix>:<stage>:…`. */
export const keys = {
  /** Hash: what was asked of a job, see control.ts. */
  control: ({ prefix }: Broker, jobId: string): string => `${prefix}:job:${jobId}:control`,
  /** Stream: everything that happened to a job, see events.ts. */
  events: ({ prefix }: Broker, jobId: string): string => `${prefix}:job:${jobId}:events`,
  /** String: what was accepted, see the gateway's submit.ts. */
  submission: ({ prefix }: Broker, suffix: string): string => `${prefix}:submission:${suffix}`,
  /** Set: submissions that are written and, for all we know, not enqueued. */
  unfinishedSubmissions: ({ prefix }: Broker): string => `${prefix}:submissions:unfinished`,
  /** Sorted set: the ids of the submitted jobs, or pipelines, by time. */
  index: ({ prefix }: Broker, sort: 'job' | 'pipeline'): string => `${prefix}:${sort}s`,
  /** String: the reward functions of the ppo service that was started last, see reward-functions.ts. */
  rewardFunctions: ({ prefix }: Broker): string => `${prefix}:reward-functions`,
};
