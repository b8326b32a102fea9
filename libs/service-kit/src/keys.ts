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
  pipeline: ({ prefix }: Broker, pipelineId: string): string => `${prefix}:pipeline:${pipelineId}`,
  /** Sorted set: the pipelines' ids by the time of their submission. */
  pipelines: ({ prefix }: Broker): string => `${prefix}:pipelines`,
  idempotency: ({ prefix }: Broker, key: string): string => `${prefix}:idempotency:${key}`,
};
