import { z } from 'zod';
import { stageConfigs, type StageConfigs } from './catalogue';
import { errorBody, PavlovError } from './errors';
import { id, seed, stageName, type StageName } from './ids';

/** What travels through a queue: ids and configs only. It is parsed when enqueued and again when dequeued. */
export interface JobPayload<S extends StageName = StageName> {
  readonly jobId: string;
  readonly stage: S;
  readonly pipelineId?: string;
  /** Which of a pipeline's rounds the job belongs to, from 1; absent outside of rounds. */
  readonly round?: number;
  readonly name?: string;
  readonly seed: number;
  readonly config: StageConfigs[S];
}

const envelope = z.object({
  jobId: id,
  stage: stageName,
  pipelineId: id.optional(),
  round: z.int().positive().optional(),
  name: z.string().optional(),
  seed,
  config: z.unknown(),
});

/** Parses a payload taken from a queue. */
export function parseJobPayload<S extends StageName>(data: unknown, stage: S): JobPayload<S> {
  const { config, ...rest } = envelope.parse(data);
  if (rest.stage !== stage) {
    throw new PavlovError({ code: 'INTERNAL', message: `A ${rest.stage} job is in the queue of ${stage}.`, hint: 'Submit jobs through the gateway only.' });
  }
  return { ...rest, stage, config: stageConfigs[stage].parse(config) as StageConfigs[S] };
}

/** What a job returns. Its artefact, if any, has the job's id. */
export const jobResult = z
  .object({
    checkpointId: id.optional(),
    averageCheckpointId: id.optional().describe('The moving average of the policy’s weights, where one was kept.'),
    datasetId: id.optional(),
    reportId: id.optional(),
    metrics: z.record(z.string(), z.number()).describe('Final figures of the job.'),
    tokens: z.number().describe('Tokens trained on, sampled and scored.'),
    seconds: z.number().describe('Seconds of the trainer, without the wait in the queue.'),
  })
  .meta({ id: 'JobResult' });
export type JobResult = z.infer<typeof jobResult>;

export const jobStates = ['waiting', 'waiting-upstream', 'active', 'paused', 'completed', 'failed', 'cancelled'] as const;
export const jobState = z.enum(jobStates).describe('`waiting-upstream`: an earlier job of the pipeline has not finished.');
export type JobState = z.infer<typeof jobState>;

export const jobProgress = z
  .object({
    fraction: z.number().min(0).max(1),
    phase: z.string().describe('What the trainer is doing, e.g. `training` or `sampling answers`.'),
    step: z.int().min(0),
    steps: z.int().min(0),
    tokensPerSecond: z.number().optional(),
    headline: z.object({ name: z.string(), value: z.number() }).optional().describe('The figure to watch: a loss or a reward.'),
  })
  .meta({ id: 'JobProgress' });
export type JobProgress = z.infer<typeof jobProgress>;

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;

const stamp = { at: z.iso.datetime(), attempt: z.int().min(0) };

/** One entry of a job's stream of events; the live events of the API are these. */
export const jobEvent = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('state'), ...stamp, state: jobState, error: errorBody.optional() }),
    z.object({ type: z.literal('progress'), ...stamp, progress: jobProgress }),
    z.object({ type: z.literal('metrics'), ...stamp, step: z.int().min(0), values: z.record(z.string(), z.number()) }),
    z.object({ type: z.literal('log'), ...stamp, level: z.enum(logLevels), message: z.string(), fields: z.record(z.string(), z.unknown()).optional() }),
  ])
  .meta({ id: 'JobEvent' });
export type JobEvent = z.infer<typeof jobEvent>;
