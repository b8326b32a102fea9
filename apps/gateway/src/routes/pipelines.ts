import { id, PavlovError, paging, pipelineEvent, pipelinePage, pipelineRequest, pipelineView } from '@pavlov/contracts';
import { cancelJob, pauseJob, resumeJob, retryJob } from '@pavlov/service-kit';
import { z } from 'zod';
import { json, route, type Route } from '../http/route';
import { pipelineEvents } from '../jobs/live-events';
import { readPage } from '../jobs/pages';
import { findJob } from '../jobs/queues';
import { viewPipeline } from '../jobs/views';
import { parsePipelineId } from '../submission/ids';
import { planPipeline } from '../submission/plan';
import { findSubmission, type Submission, submit } from '../submission/submit';
import { type Services } from '../services';
import { admissionErrors, idempotency, lastEventId } from './common';

const params = z.object({ id: id.describe('Id of the pipeline.') });
const shown = { 200: { about: 'The pipeline with its jobs.', schema: pipelineView } };
const tag = 'pipelines';

async function findPipeline({ broker }: Services, pipelineId: string): Promise<Submission | undefined> {
  const parsed = parsePipelineId(pipelineId);
  const submission = parsed === undefined ? undefined : await findSubmission(broker, parsed.suffix);
  return submission?.sort === 'pipeline' ? submission : undefined;
}

async function getPipeline(services: Services, pipelineId: string): Promise<Submission> {
  const found = await findPipeline(services, pipelineId);
  if (found !== undefined) return found;
  throw new PavlovError({
    code: 'PIPELINE_NOT_FOUND',
    message: `There is no pipeline “${pipelineId}”.`,
    hint: 'List the pipelines at GET /v1/pipelines.',
  });
}

const submitPipeline = route({
  method: 'post',
  path: '/v1/pipelines',
  tag,
  summary: 'Submit several stages in a row',
  description:
    'Stages run in the order pretraining, sft, feedback, reward-modeling, ppo, evaluation; any of them may be left out. ' +
    'Each reads what the earlier ones make; what a stage left out would have made is given by id. ' +
    'With `rounds`, feedback, reward-modeling and ppo are run several times, each time on the answers of the last policy. ' +
    'Everything is checked before anything is enqueued.',
  headers: idempotency,
  body: { json: pipelineRequest },
  answers: { 201: { about: 'The pipeline, enqueued.', schema: pipelineView } },
  errors: admissionErrors,
  handler: async ({ body, headers }, services) => {
    const plan = (suffix: string) => services.admission.admit(planPipeline(body, suffix));
    const draft = {
      sort: 'pipeline',
      name: body.name,
      seed: body.seed,
      priority: body.priority,
      request: body,
      plan,
    } as const;
    return json(201, await viewPipeline(services, await submit(services, draft, headers['idempotency-key'])));
  },
});

const listPipelines = route({
  method: 'get',
  path: '/v1/pipelines',
  tag,
  summary: 'List pipelines, newest first',
  query: z.strictObject(paging),
  answers: { 200: { about: 'A page of pipelines.', schema: pipelinePage } },
  handler: async ({ query }, services) => {
    const load = async (pipelineId: string) => {
      const submission = await findPipeline(services, pipelineId);
      return submission === undefined ? undefined : viewPipeline(services, submission);
    };
    return json(200, await readPage(services.broker, { sort: 'pipeline', ...query, load }));
  },
});

const getOne = route({
  method: 'get',
  path: '/v1/pipelines/{id}',
  tag,
  summary: 'Inspect a pipeline and its jobs',
  params,
  answers: shown,
  errors: ['PIPELINE_NOT_FOUND'],
  handler: async ({ params }, services) =>
    json(200, await viewPipeline(services, await getPipeline(services, params.id))),
});

const follow = route({
  method: 'get',
  path: '/v1/pipelines/{id}/events',
  tag,
  summary: 'Live events of all jobs of a pipeline',
  description:
    'Server-sent events: first all that has happened, then what happens, until the client leaves. With `Last-Event-ID`, only what came after.',
  params,
  headers: lastEventId,
  answers: {
    200: { about: 'Each `data` is one event of one job.', mediaType: 'text/event-stream', event: pipelineEvent },
  },
  errors: ['PIPELINE_NOT_FOUND'],
  handler: async ({ params, headers, signal }, services) => {
    const { jobs } = await getPipeline(services, params.id);
    return { status: 200, events: pipelineEvents(services.broker, jobs, { after: headers['last-event-id'], signal }) };
  },
});

const actions = {
  cancel: { act: cancelJob, summary: 'Cancel what has not finished' },
  pause: { act: pauseJob, summary: 'Pause what has not finished' },
  resume: { act: resumeJob, summary: 'Let what is paused go on' },
  retry: { act: retryJob, summary: 'Run again what failed or was cancelled, and go on from there' },
} as const;

type Act = (typeof actions)[keyof typeof actions]['act'];

/** Whether it was done; a job in a state that does not allow it is passed over. */
async function tryOn({ broker, queues }: Services, jobId: string, act: Act): Promise<boolean> {
  const job = await findJob(queues, jobId);
  if (job === undefined) return false;
  try {
    await act(broker, job);
    return true;
  } catch (error) {
    if (error instanceof PavlovError && error.code === 'JOB_STATE_CONFLICT') return false;
    throw error;
  }
}

/** From the last job to the first: none may start between two steps that should not, or before it is allowed to. */
const control = Object.entries(actions).map(([verb, { act, summary }]) =>
  route({
    method: 'post',
    path: `/v1/pipelines/{id}/${verb}`,
    tag,
    summary,
    params,
    answers: shown,
    errors: ['PIPELINE_NOT_FOUND', 'JOB_STATE_CONFLICT'],
    handler: async ({ params }, services) => {
      const submission = await getPipeline(services, params.id);
      let done = false;
      for (const { jobId } of [...submission.jobs].reverse()) done = (await tryOn(services, jobId, act)) || done;
      const view = await viewPipeline(services, submission);
      if (done) return json(200, view);
      throw new PavlovError({
        code: 'JOB_STATE_CONFLICT',
        message: `The pipeline ${view.id} is ${view.state}: there is nothing to ${verb}.`,
        hint: 'Look at its jobs; their states may have changed meanwhile.',
      });
    },
  }),
);

export const pipelineRoutes: readonly Route[] = [submitPipeline, listPipelines, getOne, follow, ...control];
