import { type JobState, PavlovError } from '@pavlov/contracts';
import { clearFlags, readControl, setFlag } from './control-flags';
import { appendEvent } from './events';
import { jobIdOf, jobStateOf } from './job-state';
import { type Broker } from './keys';
import { type StageJob } from './queues';

/** States from which nothing further happens by itself. */
export const finalStates: readonly JobState[] = ['completed', 'failed', 'cancelled'];

/**
 * Holds a job back: one that runs stops at its next step boundary, one that waits does not start.
 *
 * @throws PavlovError JOB_STATE_CONFLICT if the job is over or paused already.
 */
export async function pauseJob(broker: Broker, job: StageJob): Promise<void> {
  await refuse(broker, job, { verb: 'pause', unless: (state) => !finalStates.includes(state) && state !== 'paused' });
  await setFlag(broker, jobIdOf(job), 'paused');
  await announce(broker, job);
}

/** @throws PavlovError JOB_STATE_CONFLICT if the job is not paused. */
export async function resumeJob(broker: Broker, job: StageJob): Promise<void> {
  await refuse(broker, job, { verb: 'resume', unless: (state) => state === 'paused' });
  await clearFlags(broker, jobIdOf(job), 'paused');
  await unpark(job);
  await announce(broker, job);
}

/**
 * Ends a job for good: one that runs stops at its next step boundary, one that waits never starts.
 *
 * @throws PavlovError JOB_STATE_CONFLICT if the job is over.
 */
export async function cancelJob(broker: Broker, job: StageJob): Promise<void> {
  await refuse(broker, job, { verb: 'cancel', unless: (state) => !finalStates.includes(state) });
  await setFlag(broker, jobIdOf(job), 'cancelled');
  await unpark(job); // its worker has to see it to fail it
  await announce(broker, job);
}

/**
 * Runs a failed or cancelled job again, with all its attempts. What waits for it in a pipeline goes on waiting.
 *
 * @throws PavlovError JOB_STATE_CONFLICT if the job has neither failed nor been cancelled.
 */
export async function retryJob(broker: Broker, job: StageJob): Promise<void> {
  await refuse(broker, job, { verb: 'retry', unless: (state) => state === 'failed' || state === 'cancelled' });
  await clearFlags(broker, jobIdOf(job), 'paused', 'cancelled');
  // A cancelled job that its worker has not reached is still in the queue: there the flags were all.
  if (await job.isFailed()) await job.retry('failed', { resetAttemptsMade: true });
  await announce(broker, job);
}

async function refuse(
  broker: Broker,
  job: StageJob,
  { verb, unless }: { verb: string; unless: (state: JobState) => boolean },
): Promise<void> {
  const state = await jobStateOf(broker, job);
  if (unless(state)) return;
  throw new PavlovError({
    code: 'JOB_STATE_CONFLICT',
    message: `The job ${job.id} is ${state}: there is nothing to ${verb}.`,
    hint: 'Look at the job again; its state may have changed meanwhile.',
  });
}

/** Workers park a paused job among the delayed ones. */
async function unpark(job: StageJob): Promise<void> {
  if (await job.isDelayed()) await promote(job);
}

/** Moves a parked job back to its queue, unless someone else has just done so. */
export async function promote(job: StageJob): Promise<void> {
  try {
    await job.promote();
  } catch (error) {
    if (await job.isDelayed()) throw error;
  }
}

async function announce(broker: Broker, job: StageJob): Promise<void> {
  const state = await jobStateOf(broker, job);
  await appendEvent(broker, jobIdOf(job), {
    type: 'state',
    state,
    at: new Date().toISOString(),
    attempt: job.attemptsStarted,
  });
}

/** Whether a job that was picked from the queue should rather wait. */
export async function isHeldBack(broker: Broker, jobId: string): Promise<boolean> {
  const { paused, cancelled } = await readControl(broker, jobId);
  return paused && !cancelled;
}
