import { type ErrorBody, type JobState, PavlovError } from '@pavlov/contracts';
import { type JobControl, readControl } from './control-flags';
import { parseFailure } from './errors';
import { type Broker } from './keys';
import { type StageJob } from './queues';

/** Where a job stands, for people: BullMQ's state and what was asked of the job, taken together. */
export async function jobStateOf(broker: Broker, job: StageJob): Promise<JobState> {
  const [state, control] = await Promise.all([job.getState(), readControl(broker, jobIdOf(job))]);
  return combine(job, state, control);
}

/** Why the job’s last attempt failed. */
export function jobErrorOf(job: StageJob): ErrorBody | undefined {
  return job.failedReason ? parseFailure(job.failedReason) : undefined;
}

/** A job's id in BullMQ is its id everywhere; unlike the payload, it can be relied on before anything is parsed. */
export function jobIdOf(job: StageJob): string {
  return String(job.id);
}

function combine(job: StageJob, state: Awaited<ReturnType<StageJob['getState']>>, control: JobControl): JobState {
  switch (state) {
    case 'completed':
      return 'completed';
    case 'failed':
      return jobErrorOf(job)?.code === 'CANCELLED' ? 'cancelled' : 'failed';
    case 'active':
      return control.paused && !control.cancelled ? 'paused' : 'active';
    case 'waiting':
    case 'prioritized':
    case 'delayed':
    case 'waiting-children':
      // It will never run; its worker fails it when it comes to it.
      if (control.cancelled) return 'cancelled';
      if (control.paused) return 'paused';
      return state === 'waiting-children' ? 'waiting-upstream' : 'waiting';
    case 'unknown':
      throw new PavlovError({
        code: 'JOB_NOT_FOUND',
        message: `The job ${job.id} is in no state: it has been removed.`,
        hint: 'List the jobs to see which there are.',
      });
  }
}
