import { type JobView, type PipelineView, stages } from '@pavlov/contracts';
import { startTestRedis, type TestRedis } from '@pavlov/testing';
import { type Harness, openHarness, publishCheckpoint, publishRows } from './fixtures/harness';

describe('submissions', () => {
  let redis: TestRedis;
  let gateway: Harness;
  let job: { stage: 'sft'; config: Record<string, unknown>; seed?: number };
  let pipeline: { name: string; stages: Record<string, unknown> };

  beforeAll(async () => {
    redis = await startTestRedis();
    gateway = await openHarness(redis);
    const rows = (kind: Parameters<typeof publishRows>[1]['kind'], list: readonly unknown[]) =>
      publishRows(gateway.store, { kind, rows: list });
    const corpus = await rows('text', [{ text: 'The sky is blue.' }]);
    const demos = await rows('demonstrations', [{ prompt: 'How are you?', completion: 'I am fine.' }]);
    const prompts = await rows('prompts', [
      { prompt: 'What is the colour of the sky?', answer: 'blue', category: 'colours' },
    ]);
    await publishCheckpoint(gateway.store, { id: 'sft-1' });
    job = { stage: 'sft', config: { policy: 'sft-1', dataset: demos } };
    pipeline = {
      name: 'all of it',
      stages: {
        pretraining: { dataset: corpus },
        sft: { dataset: demos },
        feedback: { labeller: { kind: 'simulated', oracle: 'demo-world' }, prompts },
        'reward-modeling': {},
        ppo: { prompts },
        evaluation: { prompts },
      },
    };
  });
  afterEach(() => gateway.broker.redis.flushall());
  afterAll(async () => {
    await gateway.close();
    await redis.stop();
  });

  const keyed = (path: string, { body, key }: { body: unknown; key: string }) =>
    gateway.post<JobView>(path, body, { 'idempotency-key': key });

  it('enqueues one job, with its whole config', async () => {
    const { status, body } = await gateway.post<JobView>('/v1/jobs', { ...job, name: 'first', seed: 5, priority: 3 });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      stage: 'sft',
      name: 'first',
      state: 'waiting',
      seed: 5,
      priority: 3,
      attempts: 0,
      config: { epochs: 16 },
    });
    expect(body.lineage).toEqual({
      inputs: [
        { field: 'policy', id: 'sft-1', kind: 'policy' },
        { field: 'dataset', id: job.config.dataset, kind: 'demonstrations' },
      ],
      output: { id: body.id, kind: 'policy' },
    });
    expect(await gateway.enqueued()).toBe(1);
  });

  it('enqueues a pipeline as a chain: only the first stage waits for a worker', async () => {
    const { status, body } = await gateway.post<PipelineView>('/v1/pipelines', pipeline);
    expect(status).toBe(201);
    expect(body).toMatchObject({ name: 'all of it', state: 'waiting', seed: 0 });
    expect(body.jobs.map(({ stage }) => stage)).toEqual(stages);
    expect(body.jobs.map(({ state }) => state)).toEqual([
      'waiting',
      ...Array.from({ length: 5 }, () => 'waiting-upstream'),
    ]);
    expect(body.jobs[4].lineage.inputs.slice(0, 2)).toEqual([
      { field: 'policy', id: body.jobs[1].id, kind: 'policy', job: body.jobs[1].id },
      { field: 'reward', id: body.jobs[3].id, kind: 'reward-model', job: body.jobs[3].id },
    ]);
    for (const { stage } of body.jobs)
      expect(await gateway.queues.of[stage].getJobCountByTypes('waiting', 'waiting-children')).toBe(1);
  });

  it('enqueues twenty rounds as one chain, each job with its priority, its round and its seed', async () => {
    const { body } = await gateway.post<PipelineView>('/v1/pipelines', {
      ...pipeline,
      rounds: 20,
      seed: 5,
      priority: 3,
    });
    expect(body.jobs).toHaveLength(63);
    expect(await gateway.enqueued()).toBe(63);
    expect(new Set(body.jobs.map(({ priority }) => priority))).toEqual(new Set([3]));
    expect(body.jobs.map(({ state }) => state).indexOf('waiting-upstream')).toBe(1);
    const [last] = body.jobs.filter(({ stage }) => stage === 'ppo').slice(-1);
    expect(last).toMatchObject({ id: `${body.jobs[4].id}-r20`, round: 20, seed: 24 });
    expect(last.lineage.besides).toEqual([{ id: `${last.id}-ema`, kind: 'policy' }]);
    expect((await gateway.call<JobView>('GET', `/v1/jobs/${last.id}`)).body).toEqual(last);
    const listed = await gateway.call<{ items: JobView[] }>('GET', `/v1/jobs?pipeline=${body.id}&limit=200`);
    expect(listed.body.items.map(({ id }) => id).reverse()).toEqual(body.jobs.map(({ id }) => id));
  });

  it('enqueues two jobs for the same request without a key', async () => {
    const [one, other] = [await gateway.post<JobView>('/v1/jobs', job), await gateway.post<JobView>('/v1/jobs', job)];
    expect(one.body.id).not.toBe(other.body.id);
    expect(await gateway.enqueued()).toBe(2);
  });

  describe('with an Idempotency-Key', () => {
    it('enqueue once, under twenty requests at a time', async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => keyed('/v1/pipelines', { body: pipeline, key: 'order-1' })),
      );
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
      expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
      expect(await gateway.enqueued()).toBe(6);
      expect((await gateway.call<{ items: unknown[] }>('GET', '/v1/pipelines')).body.items).toHaveLength(1);
      expect((await gateway.call<{ items: unknown[] }>('GET', '/v1/jobs')).body.items).toHaveLength(6);
    });

    it('give the first answer again even when its inputs are gone', async () => {
      const first = await keyed('/v1/jobs', { body: job, key: 'order-2' });
      const find = jest.spyOn(gateway.store.checkpoints, 'find').mockResolvedValue(undefined);
      const again = await keyed('/v1/jobs', { body: job, key: 'order-2' });
      find.mockRestore();
      expect(again.body.id).toBe(first.body.id);
      expect(await gateway.enqueued()).toBe(1);
    });

    it('take defaults that are spelt out for the same request', async () => {
      const first = await keyed('/v1/jobs', { body: job, key: 'order-3' });
      const again = await keyed('/v1/jobs', {
        body: { seed: 0, config: { epochs: 16, ...job.config }, stage: 'sft' },
        key: 'order-3',
      });
      expect(again.body.id).toBe(first.body.id);
    });

    it.each([
      ['another config', '/v1/jobs', () => ({ ...job, config: { ...job.config, epochs: 2 } })],
      ['another seed', '/v1/jobs', () => ({ ...job, seed: 1 })],
      ['another route', '/v1/pipelines', () => pipeline],
    ])('are refused for %s', async (...[, path, other]) => {
      await keyed('/v1/jobs', { body: job, key: 'order-4' });
      const { status, body } = await keyed(path, { body: other(), key: 'order-4' });
      expect({ status, code: (body as unknown as { code: string }).code }).toEqual({
        status: 409,
        code: 'IDEMPOTENCY_CONFLICT',
      });
      expect(await gateway.enqueued()).toBe(1);
    });

    it('of two different requests at once accept one', async () => {
      const requests = Array.from({ length: 10 }, (_, index) =>
        keyed('/v1/jobs', { body: { ...job, seed: index % 2 }, key: 'order-5' }),
      );
      const statuses = (await Promise.all(requests)).map(({ status }) => status);
      expect(statuses.filter((status) => status === 201)).toHaveLength(5);
      expect(statuses.filter((status) => status === 409)).toHaveLength(5);
      expect(await gateway.enqueued()).toBe(1);
    });
  });

  describe('accepted by a gateway that dies before it enqueues them', () => {
    const dieOnce = () =>
      jest
        .spyOn(gateway.queues.flow.constructor.prototype as typeof gateway.queues.flow, 'add')
        .mockRejectedValueOnce(new Error('killed'));

    it('are enqueued by the same request', async () => {
      dieOnce();
      expect((await keyed('/v1/pipelines', { body: pipeline, key: 'order-6' })).status).toBe(500);
      expect(await gateway.enqueued()).toBe(0);
      expect((await keyed('/v1/pipelines', { body: pipeline, key: 'order-6' })).status).toBe(201);
      expect(await gateway.enqueued()).toBe(6);
    });

    it('are enqueued by the next start of a gateway', async () => {
      dieOnce();
      expect((await gateway.post('/v1/jobs', job)).status).toBe(500);
      const next = await openHarness(redis);
      expect(await next.enqueued()).toBe(1);
      await next.close();
    });
  });
});
