import {
  id,
  type JobLogs,
  jobLogs,
  jobEvent,
  jobMetrics,
  type JobMetrics,
  jobPage,
  jobRequest,
  jobState,
  type JobView,
  jobView,
  paging,
  PavlovError,
  priorityRequest,
  stageName,
} from '@pavlov/contracts';
import { cancelJob, finalStates, jobStateOf, pauseJob, readEvents, resumeJob, retryJob } from '@pavlov/service-kit';
import { z } from 'zod';
import { json, route, type Route } from '../http/route';
import { jobEvents } from '../jobs/live-events';
import { readPage } from '../jobs/pages';
import { findJob, getJob } from '../jobs/queues';
import { viewJob } from '../jobs/views';
import { type Services } from '../services';
import { parseJobId, parsePipelineId } from '../submission/ids';
import { planJob } from '../submission/plan';
import { submit } from '../submission/submit';
import { admissionErrors, idempotency, lastEventId } from './common';

const params = z.object({ id: id.describe('Id of the job.') });
const shown = { 200: { about: 'The job.', schema: jobView } };
const tag = 'jobs';

const viewById = async (services: Services, jobId: string): Promise<JobView> =>
  viewJob(services, await getJob(services.queues, jobId));

const submitJob = route({
  method: 'post',
  path: '/v1/jobs',
  tag,
  summary: 'Submit one stage',
  description: 'Everything is checked before anything is enqueued. What the job will make bears the job’s id.',
  headers: idempotency,
  body: { json: jobRequest },
  answers: { 201: { about: 'The job, enqueued.', schema: jobView } },
  errors: admissionErrors,
  handler: async ({ body, headers }, services) => {
    const plan = (suffix: string) => services.admission.admit(planJob(body, suffix));
    const draft = {
      sort: 'job',
      name: body.name,
      seed: body.seed,
      priority: body.priority,
      request: body,
      plan,
    } as const;
    const { jobs } = await submit(services, draft, headers['idempotency-key']);
    return json(201, await viewById(services, jobs[0].jobId));
  },
});

const listJobs = route({
  method: 'get',
  path: '/v1/jobs',
  tag,
  summary: 'List jobs, newest first',
  query: z.strictObject({
    stage: stageName.optional().describe('Only jobs of this stage.'),
    state: jobState.optional(),
    pipeline: id.optional().describe('Only jobs of this pipeline.'),
    ...paging,
  }),
  answers: { 200: { about: 'A page of jobs.', schema: jobPage } },
  errors: ['UNKNOWN_STAGE'],
  handler: async ({ query: { stage, state, pipeline, limit, cursor } }, services) => {
    const suffix = pipeline === undefined ? undefined : parsePipelineId(pipeline)?.suffix;
    const load = async (jobId: string) => {
      const parsed = parseJobId(jobId);
      if (stage !== undefined && parsed?.stage !== stage) return undefined;
      if (pipeline !== undefined && parsed?.suffix !== suffix) return undefined;
      const job = await findJob(services.queues, jobId);
      const view = job && (await viewJob(services, job));
      return state === undefined || view?.state === state ? view : undefined;
    };
    return json(200, await readPage(services.broker, { sort: 'job', limit, cursor, load }));
  },
});

const getOne = route({
  method: 'get',
  path: '/v1/jobs/{id}',
  tag,
  summary: 'Inspect a job: state, progress, config, lineage, result or error',
  params,
  answers: shown,
  errors: ['JOB_NOT_FOUND'],
  handler: async ({ params }, services) => json(200, await viewById(services, params.id)),
});

const getMetrics = route({
  method: 'get',
  path: '/v1/jobs/{id}/metrics',
  tag,
  summary: 'The curves of a job',
  params,
  answers: { 200: { about: 'Every point, oldest first.', schema: jobMetrics } },
  errors: ['JOB_NOT_FOUND'],
  handler: async ({ params }, { broker, queues }) => {
    await getJob(queues, params.id);
    const events = await readEvents(broker, params.id);
    const points = events.flatMap(({ event }): JobMetrics['points'] =>
      event.type === 'metrics'
        ? [{ at: event.at, attempt: event.attempt, step: event.step, values: event.values }]
        : [],
    );
    return json(200, { points });
  },
});

const getLogs = route({
  method: 'get',
  path: '/v1/jobs/{id}/logs',
  tag,
  summary: 'The log of a job',
  params,
  query: z.strictObject({
    limit: z.coerce.number().int().min(1).max(10_000).default(1000).describe('Only the last so many lines.'),
  }),
  answers: { 200: { about: 'Lines, oldest first.', schema: jobLogs } },
  errors: ['JOB_NOT_FOUND'],
  handler: async ({ params, query }, { broker, queues }) => {
    await getJob(queues, params.id);
    const events = await readEvents(broker, params.id);
    const lines = events.flatMap(({ event }): JobLogs['lines'] => {
      if (event.type !== 'log') return [];
      const { at, attempt, level, message, fields } = event;
      return [{ at, attempt, level, message, ...(fields === undefined ? {} : { fields }) }];
    });
    return json(200, { lines: lines.slice(-query.limit) });
  },
});

const follow = route({
  method: 'get',
  path: '/v1/jobs/{id}/events',
  tag,
  summary: 'Live events of a job',
  description:
    'Server-sent events: first all that has happened, then what happens, until the client leaves. With `Last-Event-ID`, only what came after.',
  params,
  headers: lastEventId,
  answers: { 200: { about: 'Each `data` is one event.', mediaType: 'text/event-stream', event: jobEvent } },
  errors: ['JOB_NOT_FOUND'],
  handler: async ({ params, headers, signal }, { broker, queues }) => {
    await getJob(queues, params.id);
    return { status: 200, events: jobEvents(broker, params.id, { after: headers['last-event-id'], signal }) };
  },
});

const actions = {
  cancel: { act: cancelJob, summary: 'Cancel a job: it stops at its next step, or never starts' },
  pause: { act: pauseJob, summary: 'Pause a job at its next step, or before it starts' },
  resume: { act: resumeJob, summary: 'Let a paused job go on' },
  retry: { act: retryJob, summary: 'Run a failed or cancelled job again; its pipeline goes on from there' },
} as const;

const control = Object.entries(actions).map(([verb, { act, summary }]) =>
  route({
    method: 'post',
    path: `/v1/jobs/{id}/${verb}`,
    tag,
    summary,
    params,
    answers: shown,
    errors: ['JOB_NOT_FOUND', 'JOB_STATE_CONFLICT'],
    handler: async ({ params }, services) => {
      await act(services.broker, await getJob(services.queues, params.id));
      return json(200, await viewById(services, params.id));
    },
  }),
);

const prioritise = route({
  method: 'post',
  path: '/v1/jobs/{id}/priority',
  tag,
  summary: 'Change how long a job waits for others: 0 is the most urgent',
  params,
  body: { json: priorityRequest },
  answers: shown,
  errors: ['JOB_NOT_FOUND', 'JOB_STATE_CONFLICT'],
  handler: async ({ params, body }, services) => {
    const job = await getJob(services.queues, params.id);
    const state = await jobStateOf(services.broker, job);
    if (finalStates.includes(state)) {
      throw new PavlovError({
        code: 'JOB_STATE_CONFLICT',
        message: `The job ${params.id} is ${state}: it waits for nothing.`,
        hint: 'Retry it first, if it is to run again.',
      });
    }
    await job.changePriority(body);
    return json(200, await viewById(services, params.id));
  },
});

export const jobRoutes: readonly Route[] = [
  submitJob,
  listJobs,
  getOne,
  getMetrics,
  getLogs,
  follow,
  ...control,
  prioritise,
];
