import { type JobPayload, type JobResult, type StageName } from '@pavlov/contracts';
import { type Job, type JobsOptions, Queue } from 'bullmq';
import { type Broker } from './keys';

export type StageJob<S extends StageName = StageName> = Job<JobPayload<S>, JobResult, string>;
export type StageQueue<S extends StageName = StageName> = Queue<JobPayload<S>, JobResult, string>;

/**
 * Options of every job. What fails for a passing reason is tried three times; what cannot succeed fails at once,
 * whatever this says (see errors.ts). Finished jobs stay: they are the record of what was done.
 */
export const jobDefaults = {
  attempts: 3,
  backoff: { type: 'exponential', delay: 1000 },
  removeOnComplete: false,
  removeOnFail: false,
} as const satisfies JobsOptions;

/** The queue of a stage, which bears the stage's name. It shares the broker's connection; close it before the broker. */
export function openQueue<S extends StageName>(broker: Broker, stage: S): StageQueue<S> {
  const queue: StageQueue<S> = new Queue(stage, {
    connection: broker.redis,
    prefix: broker.prefix,
    defaultJobOptions: jobDefaults,
  });
  queue.on('error', () => undefined); // the broker's connection reports its errors itself
  return queue;
}
