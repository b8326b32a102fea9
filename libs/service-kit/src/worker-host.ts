import { type JobResult, type JobState, type StageName } from '@pavlov/contracts';
import { Worker } from 'bullmq';
import { appendEvent } from './events';
import { jobErrorOf, jobIdOf } from './job-state';
import { runJob, type StopReason } from './job-run';
import { type StageJob } from './queues';
import { runService, type Service, type Work } from './service';

export interface StageWorkerOptions {
  readonly stage: StageName;
  /** The compiled `trainer.js` of the stage. */
  readonly trainerPath: string;
  /** Another worker takes a job over when its lock, renewed at half of this, has not been renewed for so long. */
  readonly lockMs?: number;
  /** How often workers look for such jobs. */
  readonly stalledCheckMs?: number;
}

/** Over a job's whole life; a bound only so that a job that takes every service down comes to an end. */
const MAX_STALLED_COUNT = 20;

/** Runs a stage as a service: one job at a time, each in a trainer process. The whole of a stage's `main.ts`. */
export async function runStageService(options: StageWorkerOptions): Promise<void> {
  await runService(options.stage, (service) => startStageWorker(service, options));
}

export async function startStageWorker(service: Service, options: StageWorkerOptions): Promise<Work> {
  const { stage, trainerPath, lockMs = 20_000, stalledCheckMs = 10_000 } = options;
  const { broker, logger } = service;
  const shutdown = new AbortController();
  const recording = new Set<Promise<void>>();

  // BullMQ gives a processor an AbortSignal only if it declares three parameters.
  const process = async (
    job: StageJob,
    token: string | undefined,
    lock: AbortSignal | undefined,
  ): Promise<JobResult> => {
    if (token === undefined || lock === undefined) throw new Error('A job came without its lock.');
    service.metrics.active.inc({ stage });
    try {
      return await runJob(
        { service, job, token, signal: AbortSignal.any([lock, shutdown.signal]), trainerPath },
        stage,
      );
    } finally {
      service.metrics.active.dec({ stage });
    }
  };
  const worker = new Worker(stage, process, {
    connection: broker.redis,
    prefix: broker.prefix,
    concurrency: 1,
    lockDuration: lockMs,
    stalledInterval: stalledCheckMs,
    maxStalledCount: MAX_STALLED_COUNT,
  });
  const record = (job: StageJob | undefined, state: Ending): void => {
    if (!job) return; // it was removed meanwhile
    const recorded = recordEnding(service, job, state)
      .catch((error: unknown) => logger.error(error, 'cannot record the end of a job'))
      .finally(() => recording.delete(recorded));
    recording.add(recorded);
  };

  worker.on('completed', (job) => record(job, 'completed'));
  worker.on('failed', (job) => record(job, endingOf(job)));
  worker.on('lockRenewalFailed', (jobIds) => {
    logger.warn({ jobIds }, 'lost the lock: another worker may have taken over');
    for (const jobId of jobIds) worker.cancelJob(jobId, 'lock-lost' satisfies StopReason);
  });
  worker.on('error', (error) => logger.warn({ reason: error.message }, 'worker'));
  await worker.waitUntilReady();

  return {
    checks: {
      worker: async () => {
        if (!worker.isRunning()) throw new Error('the worker does not run');
      },
    },
    stop: async () => {
      const reachable = await broker.ping().then(
        () => true,
        () => false,
      );
      const closed = worker.close(!reachable); // jobs can be given back only to a Redis that is there
      shutdown.abort('shutdown' satisfies StopReason);
      await closed;
      await Promise.all(recording);
    },
  };
}

/** How an attempt ended. After a failure that may pass, the job waits for its next attempt. */
type Ending = Extract<JobState, 'completed' | 'failed' | 'cancelled' | 'waiting'>;

function endingOf(job: StageJob | undefined): Ending {
  if (job?.finishedOn === undefined) return 'waiting';
  return jobErrorOf(job)?.code === 'CANCELLED' ? 'cancelled' : 'failed';
}

/** Tells the job's followers, the metrics and the log. */
async function recordEnding({ broker, logger, metrics }: Service, job: StageJob, state: Ending): Promise<void> {
  const jobId = jobIdOf(job);
  const stage = job.queueName;
  const attempt = job.attemptsStarted;
  const labels = { stage, outcome: state === 'waiting' ? ('retried' as const) : state };
  const seconds = (Date.now() - (job.processedOn ?? job.timestamp)) / 1000;
  const error = state === 'completed' ? undefined : jobErrorOf(job);
  metrics.jobs.inc(labels);
  metrics.seconds.observe(labels, seconds);
  if (state === 'completed') metrics.tokens.inc({ stage }, job.returnvalue.tokens);
  const failed = state === 'failed' || state === 'waiting';
  logger[failed ? 'error' : 'info']({ jobId, attempt, seconds, error }, `job ${labels.outcome}`);
  await appendEvent(broker, jobId, { type: 'state', state, error, at: new Date().toISOString(), attempt });
}
