import { bundle, startTestRedis } from '@pavlov/testing';
import { FlowProducer } from 'bullmq';
import { eventually, fixtures, type Harness, type Host, openHarness } from './fixtures/harness';
import { isAlive } from './process-lock';
import { cancelJob, jobDefaults, jobErrorOf, pauseJob, resumeJob, retryJob, type StageJob } from './index';

let harness: Harness;
beforeAll(async () => {
  harness = await openHarness({ redis: await startTestRedis(), compiled: await bundle(...fixtures) });
});
afterAll(() => harness.close());

const errorOf = async (job: StageJob) => jobErrorOf(await harness.reload(job));
const weights = async (id: string): Promise<string> =>
  (await harness.store.checkpoints.read(id, 'weights.txt')).toString();
const stepsSeen = async (job: StageJob): Promise<number> =>
  (await harness.events(job)).filter((event) => event.type === 'metrics').length;

describe('a stage service', () => {
  let host: Host;
  beforeAll(async () => {
    host = await harness.startHost();
  });
  afterAll(() => host.stop());

  it('runs a job in a process of its own and records everything', async () => {
    const job = await harness.submit('success-1', { steps: 40 });
    await harness.until(job, 'completed');
    const { returnvalue: result, progress } = await harness.reload(job);
    expect(result).toMatchObject({ checkpointId: 'success-1', metrics: { loss: 1 / 40 }, tokens: 400 });
    expect(result.seconds).toBeGreaterThan(0.4);
    expect(progress).toMatchObject({ fraction: 1, step: 40 });

    const events = await eventually(async () => {
      const all = await harness.events(job);
      return all.at(-1)?.type === 'state' ? all : undefined;
    }, 'the last event');
    expect(events.flatMap((event) => (event.type === 'state' ? [event.state] : []))).toEqual(['active', 'completed']);
    const curve = events.flatMap((event) => (event.type === 'metrics' ? [event.values.loss] : []));
    expect(curve).toEqual(Array.from({ length: 40 }, (_, index) => 1 / (index + 1)));
    const updates = events.filter((event) => event.type === 'progress').length;
    expect(updates).toBeGreaterThanOrEqual(2);
    expect(updates).toBeLessThanOrEqual(result.seconds * 4 + 2); // four a second, and the last one
    expect(await harness.trainerPid(job)).not.toBe(process.pid);

    const { lineage } = await harness.store.checkpoints.manifest('success-1');
    expect(lineage).toMatchObject({ stage: 'pretraining', jobId: 'success-1', attempt: 1, seed: 7, parents: [] });
    expect(lineage.datasets).toEqual([{ field: 'dataset', id: 'corpus', sha256: 'a'.repeat(64) }]);
    expect(await host.service.metrics.registry.metrics()).toMatch(/pavlov_tokens_total\{.*\} 400/);
  });

  it('refuses a payload that is not valid, naming the field, and does not retry', async () => {
    const job = (await harness.queue.add(
      'pretraining',
      { jobId: 'invalid-1', stage: 'pretraining', seed: 1, config: { steps: 'many' } } as never,
      {
        jobId: 'invalid-1',
      },
    )) as StageJob;
    await harness.until(job, 'failed');
    expect(await errorOf(job)).toMatchObject({
      code: 'INVALID_REQUEST',
      field: 'dataset',
      issues: expect.arrayContaining([expect.objectContaining({ field: 'steps' })]),
    });
    expect((await harness.reload(job)).attemptsMade).toBe(1);
  });

  it('fails at once what cannot succeed, with the trainer’s own error', async () => {
    const job = await harness.submit('bad-data-1', { name: 'bad-data' });
    await harness.until(job, 'failed');
    expect(await errorOf(job)).toEqual({
      code: 'DATASET_EMPTY',
      message: 'There is nothing to learn from.',
      hint: 'Add rows.',
      field: 'dataset',
    });
    expect((await harness.reload(job)).attemptsMade).toBe(1);
  });

  it('tries again what failed for a passing reason', async () => {
    const job = await harness.submit('stumble-1', { name: 'stumble-once' });
    await harness.until(job, 'completed');
    await eventually(
      async () => ((await harness.states(job)).at(-1) === 'completed' ? true : undefined),
      'the last event',
    );
    const states = (await harness.events(job)).flatMap((event) =>
      event.type === 'state' ? [[event.state, event.attempt, event.error?.code]] : [],
    );
    expect(states).toEqual([
      ['active', 1, undefined],
      ['waiting', 1, 'INTERNAL'],
      ['active', 2, undefined],
      ['completed', 2, undefined],
    ]);
  });

  it('survives a trainer that dies, keeps its last words, and tries again', async () => {
    const job = await harness.submit('die-1', { name: 'die-once' });
    await harness.until(job, 'completed');
    const events = await harness.events(job);
    const printed = events.flatMap((event) =>
      event.type === 'log' && event.fields?.source === 'output' ? [[event.level, event.message]] : [],
    );
    expect(printed).toEqual(
      expect.arrayContaining([
        ['info', 'some words'],
        ['warn', 'Error: the sky fell'],
      ]),
    );
    const crash = events.find((event) => event.type === 'state' && event.error !== undefined);
    expect(crash).toMatchObject({
      error: {
        code: 'TRAINER_CRASHED',
        message: 'The trainer process died: exit code 7. It said: Error: the sky fell',
      },
    });
  });

  it('survives a trainer killed by SIGKILL; the second attempt ends with the same bytes', async () => {
    const undisturbed = await harness.submit('undisturbed-1', { steps: 60 });
    await harness.until(undisturbed, 'completed');
    const job = await harness.submit('killed-1', { steps: 60 });
    process.kill(await harness.trainerPid(job), 'SIGKILL');
    await harness.until(job, 'completed');
    expect(await harness.reload(job)).toMatchObject({ attemptsStarted: 2 });
    expect(await weights('killed-1')).toBe(await weights('undisturbed-1'));
    const crash = (await harness.events(job)).find((event) => event.type === 'state' && event.error !== undefined);
    expect(crash).toMatchObject({
      attempt: 1,
      error: { code: 'TRAINER_CRASHED', message: expect.stringContaining('SIGKILL') },
    });
  });

  it('does not run again what had been published when its trainer died', async () => {
    const job = await harness.submit('published-1', { name: 'die-after-publishing' });
    await harness.until(job, 'completed');
    const { returnvalue, attemptsStarted } = await harness.reload(job);
    expect([returnvalue.checkpointId, returnvalue.metrics, attemptsStarted]).toEqual([
      'published-1',
      { loss: 1 / 3 },
      2,
    ]);
    expect(await stepsSeen(job)).toBe(3);
  });

  it('fails a job whose trainer publishes nothing', async () => {
    const job = await harness.submit('forgetful-1', { name: 'forget-to-publish' });
    await harness.until(job, 'failed');
    expect(await errorOf(job)).toMatchObject({
      code: 'INTERNAL',
      message: expect.stringContaining('without publishing'),
    });
  });

  it('says that an input is missing', async () => {
    const config = { dataset: 'no-such-corpus' };
    const job = (await harness.queue.add(
      'pretraining',
      { jobId: 'inputless-1', stage: 'pretraining', seed: 1, config } as never,
      { jobId: 'inputless-1' },
    )) as StageJob;
    await harness.until(job, 'failed');
    expect(await errorOf(job)).toMatchObject({ code: 'DATASET_NOT_FOUND' });
  });

  it('cancels a job that runs, within a second or so, and never retries it', async () => {
    const job = await harness.submit('cancel-active-1', { steps: 10_000 });
    const pid = await harness.trainerPid(job);
    const asked = Date.now();
    await cancelJob(harness.broker, await harness.reload(job));
    await harness.until(job, 'cancelled');
    expect(
      await eventually(
        async () => ((await harness.reload(job)).finishedOn === undefined ? undefined : Date.now()),
        'its end',
      ),
    ).toBeLessThan(asked + 3000);
    expect(isAlive(pid)).toBe(false);
    expect((await harness.reload(job)).attemptsMade).toBe(1);
    expect(await harness.store.checkpoints.find('cancel-active-1')).toBeUndefined();
  });

  it('kills a trainer that does not come to a step boundary', async () => {
    const job = await harness.submit('stubborn-1', { name: 'ignore-everything' });
    const pid = await harness.trainerPid(job);
    await cancelJob(harness.broker, await harness.reload(job));
    await eventually(async () => ((await harness.reload(job)).finishedOn === undefined ? undefined : true), 'its end');
    expect(await harness.state(job)).toBe('cancelled');
    expect(isAlive(pid)).toBe(false);
  });

  it('cancels a job that waits; it can be retried afterwards', async () => {
    const running = await harness.submit('running-1', { steps: 10_000 });
    const job = await harness.submit('cancel-waiting-1');
    await harness.trainerPid(running);
    await cancelJob(harness.broker, job);
    expect(await harness.state(job)).toBe('cancelled');
    await expect(cancelJob(harness.broker, job)).rejects.toMatchObject({
      code: 'JOB_STATE_CONFLICT',
    });
    await cancelJob(harness.broker, running);
    await eventually(
      async () => ((await harness.reload(job)).finishedOn === undefined ? undefined : true),
      'its worker to see it',
    );
    expect(await harness.state(job)).toBe('cancelled');
    expect(await stepsSeen(job)).toBe(0);

    await retryJob(harness.broker, await harness.reload(job));
    await harness.until(job, 'completed');
  });

  it('holds a job that runs at its step boundary, and lets it go on', async () => {
    const job = await harness.submit('pause-active-1', { steps: 250 });
    const pid = await harness.trainerPid(job);
    await eventually(async () => ((await stepsSeen(job)) > 0 ? true : undefined), 'a first step');
    await pauseJob(harness.broker, await harness.reload(job));
    expect(await harness.state(job)).toBe('paused');
    const held = await eventually(async () => {
      const before = await stepsSeen(job);
      await new Promise((resolve) => setTimeout(resolve, 400));
      return (await stepsSeen(job)) === before ? before : undefined;
    }, 'the steps to stop');
    expect(held).toBeGreaterThan(0);
    expect(held).toBeLessThan(250);
    expect(await job.isActive()).toBe(true);
    await resumeJob(harness.broker, await harness.reload(job));
    await harness.until(job, 'completed');
    expect(await stepsSeen(job)).toBe(250);
    expect(await harness.trainerPid(job)).toBe(pid);
    expect(await harness.states(job)).toEqual([
      'active',
      'paused',
      'active',
      ...((await harness.states(job)).length > 3 ? ['completed'] : []),
    ]);
  });

  it('pauses a job that asks for it, until it is resumed', async () => {
    const job = await harness.submit('pause-itself-1', { name: 'pause-itself', steps: 30 });
    await eventually(async () => ((await harness.state(job)) === 'paused' ? true : undefined), 'its pause');
    expect(await stepsSeen(job)).toBe(5);
    const reason = (await harness.events(job)).find((event) => event.type === 'log' && event.level === 'warn');
    expect(reason).toMatchObject({ message: 'paused by the job itself: it wants to be looked at' });
    await new Promise((resolve) => setTimeout(resolve, 600)); // several looks at what is asked of the job
    expect(await stepsSeen(job)).toBe(5);
    await resumeJob(harness.broker, await harness.reload(job));
    await harness.until(job, 'completed');
    expect(await stepsSeen(job)).toBe(30);
  });

  it('does not start a job that is paused while it waits, until it is resumed', async () => {
    const running = await harness.submit('running-2', { steps: 10_000 });
    const job = await harness.submit('pause-waiting-1');
    await harness.trainerPid(running);
    await pauseJob(harness.broker, job);
    expect(await harness.state(job)).toBe('paused');
    await cancelJob(harness.broker, running);
    await eventually(async () => ((await job.isDelayed()) ? true : undefined), 'the job to be parked');
    expect(await harness.state(job)).toBe('paused');
    await expect(pauseJob(harness.broker, job)).rejects.toMatchObject({ code: 'JOB_STATE_CONFLICT' });
    await resumeJob(harness.broker, await harness.reload(job));
    await harness.until(job, 'completed');
    expect((await harness.reload(job)).attemptsMade).toBe(1);
  });

  it('cancels a job that is paused', async () => {
    const job = await harness.submit('paused-cancelled-1', { steps: 10_000 });
    await harness.trainerPid(job);
    await pauseJob(harness.broker, await harness.reload(job));
    await cancelJob(harness.broker, await harness.reload(job));
    await eventually(async () => ((await harness.reload(job)).finishedOn === undefined ? undefined : true), 'its end');
    expect(await harness.state(job)).toBe('cancelled');
  });

  it('goes on with a pipeline once the job that failed has been retried', async () => {
    const flow = new FlowProducer({ connection: harness.broker.redis, prefix: harness.broker.prefix });
    const node = (id: string, dataset: string) => ({
      name: 'pretraining',
      queueName: 'pretraining',
      data: { jobId: id, stage: 'pretraining', seed: 7, config: { dataset, steps: 3, warmupSteps: 0 } },
      opts: { ...jobDefaults, jobId: id },
    });
    await flow.add({ ...node('flow-2', 'corpus'), children: [node('flow-1', 'late-corpus')] });
    const [first, second] = (await Promise.all(
      ['flow-1', 'flow-2'].map((id) => harness.queue.getJob(id)),
    )) as StageJob[];
    await harness.until(first, 'failed');
    expect(await harness.state(second)).toBe('waiting-upstream');

    const text = '{"text":"late"}\n';
    await harness.store.datasets.publish({
      manifest: {
        id: 'late-corpus',
        kind: 'text',
        name: 'late',
        rows: 1,
        bytes: text.length,
        sha256: 'b'.repeat(64),
        statistics: {},
      },
      files: { 'rows.jsonl': text },
    });
    await retryJob(harness.broker, await harness.reload(first));
    await harness.until(second, 'completed');
    const [one, two] = await Promise.all([harness.reload(first), harness.reload(second)]);
    expect(one.finishedOn).toBeLessThanOrEqual(two.processedOn ?? 0);
  });
});
