import {
  type JobEvent,
  type JobLogs,
  type JobMetrics,
  type JobPayload,
  type JobState,
  type JobView,
  type Page,
  type PipelineView,
  type StageName,
} from '@pavlov/contracts';
import { appendEvent } from '@pavlov/service-kit';
import { startTestRedis, type TestRedis } from '@pavlov/testing';
import { UnrecoverableError, Worker } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Harness, openHarness, publishCheckpoint, publishRows } from './fixtures/harness';
import { openEvents } from './fixtures/event-source';

describe('jobs and pipelines', () => {
  let redis: TestRedis;
  let gateway: Harness;
  let demos: string;
  let rankings: string;
  const stops: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    redis = await startTestRedis();
    gateway = await openHarness(redis);
    demos = await publishRows(gateway.store, {
      kind: 'demonstrations',
      rows: [{ prompt: 'How are you?', completion: 'I am fine.' }],
    });
    rankings = await publishRows(gateway.store, {
      kind: 'rankings',
      rows: [{ prompt: 'a', chosen: 'b', rejected: 'c' }],
    });
    await publishCheckpoint(gateway.store, { id: 'base-1', stage: 'pretraining' });
  });
  afterEach(async () => {
    await Promise.all(stops.splice(0).map((stop) => stop()));
    await gateway.broker.redis.flushall();
  });
  afterAll(async () => {
    await gateway.close();
    await redis.stop();
  });

  const submit = async (request = {}) =>
    (
      await gateway.post<JobView>('/v1/jobs', {
        stage: 'sft',
        config: { policy: 'base-1', dataset: demos },
        ...request,
      })
    ).body;
  const submitPipeline = async () =>
    (
      await gateway.post<PipelineView>('/v1/pipelines', {
        stages: { sft: { policy: 'base-1', dataset: demos }, 'reward-modeling': { rankings } },
      })
    ).body;
  const get = async <T = JobView>(path: string) => (await gateway.call<T>('GET', path)).body;
  const act = async (path: string) => gateway.call<JobView & PipelineView & { code?: string }>('POST', path);
  const list = async (query = '') => (await get<Page<JobView>>(`/v1/jobs${query}`)).items.map(({ id }) => id);

  /** A stand-in for a stage service. */
  function work(stage: StageName, process: (payload: JobPayload) => Promise<unknown>): void {
    const connection = gateway.broker.redis.duplicate({ maxRetriesPerRequest: null });
    const worker = new Worker(stage, async (job) => process(job.data as JobPayload), {
      connection,
      prefix: gateway.broker.prefix,
    });
    worker.on('error', () => undefined);
    stops.push(async () => {
      await worker.close(true);
      connection.disconnect();
    });
  }
  async function until(path: string, state: JobState): Promise<JobView & PipelineView> {
    for (let attempt = 0; attempt < 200; attempt += 1) {
      const view = await get<JobView & PipelineView>(path);
      if (view.state === state) return view;
      await sleep(20);
    }
    throw new Error(`${path} did not become ${state}`);
  }
  const result = ({ jobId }: JobPayload) =>
    Promise.resolve({ checkpointId: jobId, metrics: { loss: 0.5 }, tokens: 10, seconds: 1 });
  const fail = (code: string) =>
    Promise.reject(new UnrecoverableError(JSON.stringify({ code, message: 'It did not go well.', hint: 'Look.' })));

  const progress = (step: number): JobEvent => ({
    type: 'progress',
    at: new Date().toISOString(),
    attempt: 1,
    progress: { fraction: step / 10, phase: 'training', step, steps: 10 },
  });
  const append = async (jobId: string, ...steps: number[]) => {
    for (const step of steps) await appendEvent(gateway.broker, jobId, progress(step));
  };

  describe('lists', () => {
    it('are newest first, page by page, while new jobs come in', async () => {
      const ids: string[] = [];
      for (let index = 0; index < 5; index += 1) ids.unshift((await submit({ seed: index })).id);
      const first = await get<Page<JobView>>('/v1/jobs?limit=2');
      await submit();
      const second = await get<Page<JobView>>(`/v1/jobs?limit=2&cursor=${first.next}`);
      const third = await get<Page<JobView>>(`/v1/jobs?limit=2&cursor=${second.next}`);
      expect([first, second, third].map(({ items }) => items.map(({ id }) => id))).toEqual([
        ids.slice(0, 2),
        ids.slice(2, 4),
        ids.slice(4),
      ]);
      expect(third.next).toBeUndefined();
    });

    it('end with a full page where nothing follows', async () => {
      await submit();
      expect(await get('/v1/jobs?limit=1')).not.toHaveProperty('next');
    });

    it('filter by stage, state and pipeline, across pages', async () => {
      const alone = await submit();
      const { id, jobs } = await submitPipeline();
      const [sft, reward] = jobs.map((job) => job.id);
      expect(await list('?stage=reward-modeling')).toEqual([reward]);
      expect(await list(`?pipeline=${id}`)).toEqual([reward, sft]);
      expect(await list('?state=waiting-upstream')).toEqual([reward]);
      expect(await list('?state=waiting&limit=1')).toEqual([sft]);
      expect(await list(`?state=waiting&limit=1&cursor=${sft}`)).toEqual([alone.id]);
      expect(await list('?state=completed')).toEqual([]);
      expect((await get<Page<PipelineView>>('/v1/pipelines')).items.map((pipeline) => pipeline.id)).toEqual([id]);
    });
  });

  describe('a job', () => {
    it('shows its result when it has completed', async () => {
      work('sft', result);
      const { id } = await submit();
      expect(await until(`/v1/jobs/${id}`, 'completed')).toMatchObject({
        attempts: 1,
        result: { checkpointId: id, metrics: { loss: 0.5 } },
        startedAt: expect.any(String),
        finishedAt: expect.any(String),
      });
    });

    it('shows why it has failed, and runs again when retried', async () => {
      let healthy = false;
      work('sft', async (payload) => (healthy ? result(payload) : fail('NON_FINITE')));
      const { id } = await submit();
      expect(await until(`/v1/jobs/${id}`, 'failed')).toMatchObject({
        error: { code: 'NON_FINITE', message: 'It did not go well.' },
      });
      healthy = true;
      expect((await act(`/v1/jobs/${id}/retry`)).status).toBe(200);
      expect(await until(`/v1/jobs/${id}`, 'completed')).not.toHaveProperty('error');
    });

    it('can be paused, resumed, cancelled and retried before it starts', async () => {
      const { id } = await submit();
      const states: string[] = [];
      for (const verb of ['pause', 'resume', 'cancel', 'retry'])
        states.push((await act(`/v1/jobs/${id}/${verb}`)).body.state);
      expect(states).toEqual(['paused', 'waiting', 'cancelled', 'waiting']);
    });

    it.each(['resume', 'retry'])('refuses to %s while it waits', async (verb) => {
      const { id } = await submit();
      expect(await act(`/v1/jobs/${id}/${verb}`)).toMatchObject({ status: 409, body: { code: 'JOB_STATE_CONFLICT' } });
    });

    it('refuses everything but a look once it has completed', async () => {
      work('sft', result);
      const { id } = await submit();
      await until(`/v1/jobs/${id}`, 'completed');
      for (const verb of ['pause', 'resume', 'cancel', 'retry'])
        expect((await act(`/v1/jobs/${id}/${verb}`)).body.code).toBe('JOB_STATE_CONFLICT');
      expect((await gateway.post<{ code: string }>(`/v1/jobs/${id}/priority`, { priority: 1 })).body.code).toBe(
        'JOB_STATE_CONFLICT',
      );
    });

    it('runs before others of lower priority', async () => {
      const later = await submit({ priority: 10 });
      const sooner = await submit({ priority: 20 });
      expect((await gateway.post<JobView>(`/v1/jobs/${sooner.id}/priority`, { priority: 5 })).body).toMatchObject({
        priority: 5,
        state: 'waiting',
      });
      const order: string[] = [];
      work('sft', async (payload) => {
        order.push(payload.jobId);
        return result(payload);
      });
      await Promise.all([until(`/v1/jobs/${later.id}`, 'completed'), until(`/v1/jobs/${sooner.id}`, 'completed')]);
      expect(order).toEqual([sooner.id, later.id]);
    });

    it('has its curves and its log', async () => {
      const { id } = await submit();
      const stamp = { at: new Date().toISOString(), attempt: 1 };
      for (let step = 1; step <= 3; step += 1) {
        await appendEvent(gateway.broker, id, { type: 'metrics', ...stamp, step, values: { loss: 1 / step } });
        await appendEvent(gateway.broker, id, {
          type: 'log',
          ...stamp,
          level: 'info',
          message: `step ${step}`,
          fields: { step },
        });
      }
      const { points } = await get<JobMetrics>(`/v1/jobs/${id}/metrics`);
      expect(points.map(({ step, values }) => [step, values.loss])).toEqual([
        [1, 1],
        [2, 0.5],
        [3, 1 / 3],
      ]);
      expect((await get<JobLogs>(`/v1/jobs/${id}/logs?limit=2`)).lines).toEqual(
        [2, 3].map((step) => ({ ...stamp, level: 'info', message: `step ${step}`, fields: { step } })),
      );
    });
  });

  describe('a pipeline in rounds', () => {
    const submitRounds = async (rounds = 2) => {
      const prompts = await publishRows(gateway.store, {
        kind: 'prompts',
        rows: [{ prompt: 'What is the colour of the sky?', answer: 'blue', category: 'colours' }],
      });
      const stages = {
        feedback: { labeller: { kind: 'simulated', oracle: 'demo-world' }, policy: 'base-1', prompts },
        'reward-modeling': { policy: 'base-1' },
        ppo: { policy: 'base-1', prompts },
      };
      return (await gateway.post<PipelineView>('/v1/pipelines', { rounds, stages })).body;
    };
    const names = ({ jobs }: PipelineView) => jobs.map(({ stage, round }) => `${stage} ${round}`);
    const inOrder = [1, 2].flatMap((round) =>
      ['feedback', 'reward-modeling', 'ppo'].map((stage) => `${stage} ${round}`),
    );

    it('runs round after round, and goes on in the round in which a job failed', async () => {
      const ran: string[] = [];
      let healthy = false;
      const run = async (payload: JobPayload) => {
        ran.push(`${payload.stage} ${payload.round}`);
        return payload.stage === 'ppo' && payload.round === 2 && !healthy ? fail('KL_EXPLODED') : result(payload);
      };
      for (const stage of ['feedback', 'reward-modeling', 'ppo'] as const) work(stage, run);
      const { id } = await submitRounds();
      const failed = await until(`/v1/pipelines/${id}`, 'failed');
      expect(names(failed)).toEqual(inOrder);
      expect(failed.jobs.map(({ state }) => state)).toEqual([...Array<string>(5).fill('completed'), 'failed']);
      expect(ran).toEqual(inOrder);
      healthy = true;
      await act(`/v1/pipelines/${id}/retry`);
      await until(`/v1/pipelines/${id}`, 'completed');
      expect(ran).toEqual([...inOrder, 'ppo 2']);
    });

    it('is paused, resumed, cancelled and retried with all its rounds', async () => {
      const { id } = await submitRounds();
      const states: string[] = [];
      for (const verb of ['pause', 'resume', 'cancel', 'retry']) {
        const { body } = await act(`/v1/pipelines/${id}/${verb}`);
        states.push([...new Set(body.jobs.map(({ state }) => state))].join());
      }
      expect(states).toEqual(['paused', 'waiting,waiting-upstream', 'cancelled', 'waiting,waiting-upstream']);
    });

    it('shows of each job where its inputs come from', async () => {
      const { jobs } = await submitRounds();
      const [feedback, , ppo, feedback2, reward2] = jobs.map((job) => job.id);
      expect(jobs[3].lineage.inputs[0]).toEqual({ field: 'policy', id: ppo, kind: 'policy', job: ppo });
      expect(jobs[4].lineage.inputs.slice(1)).toEqual([
        { field: 'rankings', id: feedback2, kind: 'rankings', job: feedback2 },
        { field: 'earlierRankings.0', id: feedback, kind: 'rankings', job: feedback },
      ]);
      expect(jobs[5].lineage.inputs[1]).toMatchObject({ field: 'reward', job: reward2 });
    });

    it('takes the ids of its events back, however many jobs it has', async () => {
      const { id, jobs } = await submitRounds(20);
      const positions = jobs.map(() => '1700000000000-0').join('.');
      const last = jobs[59].id;
      await append(last, 1);
      const resumed = await openEvents(`${gateway.address}/v1/pipelines/${id}/events`, positions);
      expect(await resumed.take(1)).toMatchObject([{ data: { jobId: last, event: { progress: { step: 1 } } } }]);
      resumed.close();
    });
  });

  describe('a job of an older version', () => {
    it('is shown with the options that came since', async () => {
      const jobId = 'ppo-0123456789ab';
      const config = { policy: 'base-1', reward: 'reward-1', prompts: 'asked-1' };
      await gateway.queues.of.ppo.add('ppo', { jobId, stage: 'ppo', seed: 0, config } as unknown as JobPayload<'ppo'>, {
        jobId,
      });
      expect(await get(`/v1/jobs/${jobId}`)).toMatchObject({
        config: { averageDecay: 0.992 },
        lineage: { output: { id: jobId } },
      });
    });
  });

  describe('a pipeline', () => {
    it('goes on from a job that failed once that is retried', async () => {
      let healthy = false;
      work('sft', async (payload) => (healthy ? result(payload) : fail('NON_FINITE')));
      work('reward-modeling', result);
      const { id } = await submitPipeline();
      const failed = await until(`/v1/pipelines/${id}`, 'failed');
      expect(failed.jobs.map(({ state }) => state)).toEqual(['failed', 'waiting-upstream']);
      healthy = true;
      expect((await act(`/v1/pipelines/${id}/retry`)).status).toBe(200);
      const done = await until(`/v1/pipelines/${id}`, 'completed');
      expect(done.jobs.map(({ attempts }) => attempts)).toEqual([2, 1]);
    });

    it('can be paused, resumed, cancelled and retried as a whole', async () => {
      const { id } = await submitPipeline();
      const states: unknown[] = [];
      for (const verb of ['pause', 'resume', 'cancel', 'retry']) {
        const { body } = await act(`/v1/pipelines/${id}/${verb}`);
        states.push([body.state, ...body.jobs.map(({ state }) => state)]);
      }
      expect(states).toEqual([
        ['paused', 'paused', 'paused'],
        ['waiting', 'waiting', 'waiting-upstream'],
        ['cancelled', 'cancelled', 'cancelled'],
        ['waiting', 'waiting', 'waiting-upstream'],
      ]);
    });

    it('leaves alone the jobs that an act does not fit, and refuses one that fits none', async () => {
      const { id, jobs } = await submitPipeline();
      await act(`/v1/jobs/${jobs[1].id}/pause`);
      expect((await act(`/v1/pipelines/${id}/pause`)).body.jobs.map(({ state }) => state)).toEqual([
        'paused',
        'paused',
      ]);
      expect(await act(`/v1/pipelines/${id}/pause`)).toMatchObject({
        status: 409,
        body: { code: 'JOB_STATE_CONFLICT' },
      });
      expect(await act(`/v1/pipelines/${id}/retry`)).toMatchObject({
        status: 409,
        body: { code: 'JOB_STATE_CONFLICT' },
      });
    });
  });

  describe('live events', () => {
    const steps = (events: readonly { data: unknown }[]) =>
      events.map(({ data }) => (data as { progress: { step: number } }).progress.step);

    it('of a job are all that happened, then what happens', async () => {
      const { id } = await submit();
      await append(id, 1, 2);
      const events = await openEvents(`${gateway.address}/v1/jobs/${id}/events`);
      expect(steps(await events.take(2))).toEqual([1, 2]);
      await append(id, 3);
      expect(steps(await events.take(1))).toEqual([3]);
      events.close();
    });

    it('of a job go on after the last one that the client got', async () => {
      const { id } = await submit();
      await append(id, 1, 2, 3);
      const first = await openEvents(`${gateway.address}/v1/jobs/${id}/events`);
      const [, second] = await first.take(2);
      first.close();
      await append(id, 4);
      const resumed = await openEvents(`${gateway.address}/v1/jobs/${id}/events`, second.id);
      expect(steps(await resumed.take(2))).toEqual([3, 4]);
      resumed.close();
    });

    it('of a job tell what is asked of it', async () => {
      const { id } = await submit();
      const events = await openEvents(`${gateway.address}/v1/jobs/${id}/events`);
      await act(`/v1/jobs/${id}/pause`);
      expect((await events.take(1))[0].data).toMatchObject({ type: 'state', state: 'paused' });
      events.close();
    });

    it('of a pipeline are those of all its jobs, and none is lost or repeated over a reconnection', async () => {
      const { id, jobs } = await submitPipeline();
      const [sft, reward] = jobs;
      await Promise.all([append(sft.id, 1, 2, 3), append(reward.id, 1, 2, 3)]);
      const first = await openEvents(`${gateway.address}/v1/pipelines/${id}/events`);
      const before = await first.take(4);
      first.close();
      await Promise.all([append(sft.id, 4), append(reward.id, 4)]);
      const resumed = await openEvents(`${gateway.address}/v1/pipelines/${id}/events`, before[3].id);
      const all = [...before, ...(await resumed.take(4))].map(
        ({ data }) => data as { jobId: string; stage: string; event: unknown },
      );
      resumed.close();
      for (const { id: jobId, stage } of jobs) {
        const own = all.filter((event) => event.jobId === jobId);
        expect(own.every((event) => event.stage === stage)).toBe(true);
        expect(steps(own.map(({ event }) => ({ data: event })))).toEqual([1, 2, 3, 4]);
      }
    });

    it('of a pipeline refuse the id of an event of another one', async () => {
      const { id } = await submitPipeline();
      expect(
        await gateway.refusal('GET', `/v1/pipelines/${id}/events`, { headers: { 'last-event-id': '1-0.2-0.3-0' } }),
      ).toMatchObject({ code: 'INVALID_REQUEST' });
    });

    it('give their connections back when the client leaves', async () => {
      const { id } = await submitPipeline();
      const connections = async () =>
        Number(/connected_clients:(\d+)/.exec(await gateway.broker.redis.info('clients'))?.[1]);
      const before = await connections();
      const events = await openEvents(`${gateway.address}/v1/pipelines/${id}/events`);
      await act(`/v1/pipelines/${id}/pause`);
      await events.take(2);
      expect(await connections()).toBe(before + 2);
      events.close();
      for (let attempt = 0; attempt < 50 && (await connections()) > before; attempt += 1) await sleep(20);
      expect(await connections()).toBe(before);
    });
  });
});
