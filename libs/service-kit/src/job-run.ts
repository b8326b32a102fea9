import {
  type JobEvent,
  type JobPayload,
  type JobResult,
  parseJobPayload,
  PavlovError,
  type StageName,
} from '@pavlov/contracts';
import { DelayedError, WaitingError } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import { publishedBy, resultOf } from './artifacts';
import { isHeldBack, pauseJob, promote } from './control';
import { readControl } from './control-flags';
import { toJobFailure, toPavlovError } from './errors';
import { appendEvent } from './events';
import { jobIdOf } from './job-state';
import { type StageJob } from './queues';
import { type Service } from './service';
import { startTrainer, type TrainerProcess, type TrainerReport } from './trainer-process';

/** How soon a pause or a cancellation is seen. */
const CONTROL_MS = 250;
/** Time for a trainer to reach its next step boundary before it is killed. */
const STOP_GRACE_MS = 5000;
/** A paused job is looked at again after a year, should nobody resume it. */
const PARKED_MS = 365 * 24 * 60 * 60 * 1000;

/** Why a job is taken from its trainer. */
export type StopReason = 'cancelled' | 'shutdown' | 'lock-lost';

export interface JobRun {
  readonly service: Service;
  readonly job: StageJob;
  /** The lock that this worker holds on the job. */
  readonly token: string;
  /** Aborts with a StopReason. */
  readonly signal: AbortSignal;
  readonly trainerPath: string;
}

/**
 * Runs a job that a worker has picked, in this order:
 * 1. what is not to run yet goes back: the service is shutting down, or the job is paused;
 * 2. the payload is parsed again, whoever wrote it;
 * 3. a job whose artefact exists is done: its last attempt died after publishing;
 * 4. the attempt claims the job, which shuts earlier ones out;
 * 5. a trainer process does the work, watched for a pause, a cancellation, a shutdown and the loss of the lock.
 *
 * It throws what BullMQ wants to hear: an UnrecoverableError where a retry is vain.
 */
export async function runJob(run: JobRun, stage: StageName): Promise<JobResult> {
  await giveBackUnlessRunnable(run);
  try {
    const payload = parseJobPayload(run.job.data, stage);
    if (payload.jobId !== jobIdOf(run.job)) throw misplaced(run.job, payload);
    const { cancelled } = await readControl(run.service.broker, payload.jobId);
    if (cancelled) throw cancellation();
    return await runPayload(run, payload);
  } catch (error) {
    if (error instanceof WaitingError) throw error;
    throw toJobFailure(toPavlovError(error));
  }
}

/** Step 1. */
async function giveBackUnlessRunnable({ service, job, token, signal }: JobRun): Promise<void> {
  if (signal.aborted) return handBack(job, token);
  const jobId = jobIdOf(job);
  if (!(await isHeldBack(service.broker, jobId))) return;
  await job.moveToDelayed(Date.now() + PARKED_MS, token);
  // Someone may have resumed it after the look and before the move, and then found nothing to promote.
  if (!(await isHeldBack(service.broker, jobId))) await promote(job);
  throw new DelayedError();
}

/** Back to the head of the queue, for another service or for this one after its restart. It is no failed attempt. */
async function handBack(job: StageJob, token: string): Promise<never> {
  await job.moveToWait(token);
  throw new WaitingError();
}

/** Steps 3 to 5. */
async function runPayload(run: JobRun, payload: JobPayload): Promise<JobResult> {
  const { service, job, trainerPath } = run;
  const { store, env, metrics } = service;
  const published = await publishedBy(payload, store);
  if (published) return { ...published, tokens: 0, seconds: 0 };

  const attempt = job.attemptsStarted;
  const fence = await store.claim(payload.jobId, attempt);
  const journal = openJournal(run, payload.jobId);
  journal.write({ type: 'state', state: 'active' });
  const started = performance.now();
  const order = { job: payload, attempt, threads: env.threads, storeRoot: env.storeRoot, fence };
  const itself = { paused: false };
  const onPause = (): void => void (itself.paused = true);
  const trainer = startTrainer({ path: trainerPath, order, onReport: journal.report, onPause });
  journal.log.info({ pid: trainer.pid }, 'trainer started');
  const watch = watchOver(trainer, { run, itself });
  try {
    const outcome = await trainer.outcome;
    return { ...(await resultOf(payload, store, outcome)), seconds: (performance.now() - started) / 1000 };
  } catch (error) {
    switch (watch.stopped()) {
      case 'shutdown':
        journal.write({ type: 'state', state: 'waiting' });
        metrics.jobs.inc({ stage: payload.stage, outcome: 'requeued' });
        return await handBack(job, run.token);
      case 'cancelled':
        throw cancellation();
      case 'lock-lost':
      case undefined:
        throw error;
    }
  } finally {
    watch.end();
    await journal.flush();
  }
}

interface Watch {
  stopped(): StopReason | undefined;
  end(): void;
}

/** Passes on to the trainer what is asked of the job, and makes its own pause the job's, until `end`. */
function watchOver(trainer: TrainerProcess, { run, itself }: { run: JobRun; itself: { paused: boolean } }): Watch {
  const { service, job, signal } = run;
  const ended = new AbortController();
  let reason: StopReason | undefined;
  const stop = (why: StopReason): void => {
    reason ??= why;
    trainer.stop(why === 'lock-lost' ? 0 : STOP_GRACE_MS); // a successor may run already
  };
  const onAbort = (): void => stop(signal.reason as StopReason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort);

  const followControl = async (): Promise<void> => {
    let paused = false;
    while (!ended.signal.aborted) {
      if (itself.paused) {
        itself.paused = false;
        paused = true; // the trainer waits already; it is to hear of the resumption
        await pauseUnlessPaused(service, job);
      }
      const control = await readControl(service.broker, jobIdOf(job));
      if (control.cancelled) return stop('cancelled');
      if (control.paused !== paused) trainer[control.paused ? 'pause' : 'resume']();
      paused = control.paused;
      await sleep(CONTROL_MS, undefined, { signal: ended.signal });
    }
  };
  followControl().catch((error: unknown) => {
    if (!ended.signal.aborted) service.logger.error(error, 'cannot read what is asked of the job');
  });
  return {
    stopped: () => reason,
    end: () => {
      ended.abort();
      signal.removeEventListener('abort', onAbort);
    },
  };
}

/** An operator may have been quicker. */
async function pauseUnlessPaused({ broker }: Service, job: StageJob): Promise<void> {
  try {
    await pauseJob(broker, job);
  } catch (error) {
    if (!(error instanceof PavlovError && error.code === 'JOB_STATE_CONFLICT')) throw error;
  }
}

type Entry<E = JobEvent> = E extends JobEvent ? Omit<E, 'at' | 'attempt'> : never;

/** Writes what happens to the job's events and to the service's log. */
function openJournal({ service, job }: JobRun, jobId: string) {
  const log = service.logger.child({ jobId, attempt: job.attemptsStarted });
  const pending = new Set<Promise<unknown>>();
  const track = (promise: Promise<unknown>): void => {
    const settled = promise
      .catch((error: unknown) => log.error(error, 'cannot record an event'))
      .finally(() => pending.delete(settled));
    pending.add(settled);
  };
  const write = (entry: Entry): void => {
    const event = { ...entry, at: new Date().toISOString(), attempt: job.attemptsStarted } as JobEvent;
    track(appendEvent(service.broker, jobId, event));
  };
  const report = (message: TrainerReport): void => {
    write(message);
    if (message.type === 'progress') track(job.updateProgress(message.progress));
    if (message.type === 'log') log[message.level](message.fields ?? {}, message.message);
  };
  return { log, write, report, flush: async () => void (await Promise.all(pending)) };
}

const cancellation = (): PavlovError =>
  new PavlovError({ code: 'CANCELLED', message: 'The job was cancelled.', hint: 'Retry it to run it after all.' });

const misplaced = (job: StageJob, payload: JobPayload): PavlovError =>
  new PavlovError({
    code: 'INVALID_REQUEST',
    message: `The job ${job.id} carries the payload of ${payload.jobId}.`,
    hint: 'Submit jobs through the gateway only.',
    field: 'jobId',
  });
