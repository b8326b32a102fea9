import {
  inputsOf,
  type JobPayload,
  type JobState,
  jobProgress,
  type JobView,
  outputsOf,
  type PipelineState,
  type PipelineView,
  stageConfigs,
  type StageName,
} from '@pavlov/contracts';
import { type Broker, finalStates, jobErrorOf, jobStateOf, type StageJob } from '@pavlov/service-kit';
import { makerIdOf, pipelineIdOf } from '../submission/ids';
import { type Submission } from '../submission/submit';
import { findJob, getJob, type Queues } from './queues';

const moment = (milliseconds: number): string => new Date(milliseconds).toISOString();

/** A job that an older version has enqueued lacks the options that came since. */
function withDefaults(payload: JobPayload): JobPayload {
  const { data: config = payload.config } = stageConfigs[payload.stage].safeParse(payload.config);
  return { ...payload, config };
}

function lineageOf<S extends StageName>(job: Pick<JobPayload<S>, 'jobId' | 'stage' | 'config'>): JobView['lineage'] {
  const [output, ...besides] = outputsOf(job);
  return {
    inputs: inputsOf[job.stage](job.config).map((input) => {
      const maker = makerIdOf(input.id);
      return { ...input, ...(maker === undefined ? {} : { job: maker }) };
    }),
    output,
    ...(besides.length === 0 ? {} : { besides }),
  };
}

interface Source {
  readonly broker: Broker;
  readonly queues: Queues;
}

/** A job with its state. A job that ended between the two readings is read again, or its result would be missing. */
async function readState({ broker, queues }: Source, read: StageJob): Promise<{ job: StageJob; state: JobState }> {
  const state = await jobStateOf(broker, read);
  if (!finalStates.includes(state) || read.finishedOn !== undefined) return { job: read, state };
  const job = await getJob(queues, read.data.jobId);
  return { job, state: await jobStateOf(broker, job) };
}

/** What the API says about a job. */
export async function viewJob(source: Source, read: StageJob): Promise<JobView> {
  const { job, state } = await readState(source, read);
  const { jobId, stage, name, pipelineId, round, seed, config } = withDefaults(job.data);
  const progress = jobProgress.safeParse(job.progress);
  const error = jobErrorOf(job);
  const isOver = finalStates.includes(state);
  return {
    id: jobId,
    stage,
    ...(name === undefined ? {} : { name }),
    ...(pipelineId === undefined ? {} : { pipelineId }),
    ...(round === undefined ? {} : { round }),
    state,
    seed,
    priority: job.priority,
    attempts: job.attemptsStarted,
    createdAt: moment(job.timestamp),
    ...(job.processedOn === undefined ? {} : { startedAt: moment(job.processedOn) }),
    ...(isOver && job.finishedOn !== undefined ? { finishedAt: moment(job.finishedOn) } : {}),
    ...(progress.success ? { progress: progress.data } : {}),
    config: { ...config },
    lineage: lineageOf({ jobId, stage, config }),
    ...(state === 'completed' ? { result: job.returnvalue } : {}),
    ...(isOver && state !== 'completed' && error !== undefined ? { error } : {}),
  };
}

/** Where a pipeline stands: what is going on now decides, then what holds it up. */
export function pipelineStateOf(states: readonly JobState[]): PipelineState {
  if (states.length > 0 && states.every((state) => state === 'completed')) return 'completed';
  for (const telling of ['active', 'failed', 'cancelled', 'paused'] as const)
    if (states.includes(telling)) return telling;
  return states.includes('completed') ? 'active' : 'waiting';
}

export async function viewPipeline(source: Source, submission: Submission): Promise<PipelineView> {
  const found = await Promise.all(submission.jobs.map(({ jobId }) => findJob(source.queues, jobId)));
  const jobs = await Promise.all(found.filter((job) => job !== undefined).map((job) => viewJob(source, job)));
  return {
    id: pipelineIdOf(submission.suffix),
    ...(submission.name === undefined ? {} : { name: submission.name }),
    state: pipelineStateOf(jobs.map((job) => job.state)),
    seed: submission.seed,
    createdAt: submission.createdAt,
    jobs,
  };
}
