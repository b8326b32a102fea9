import { bundle, startTestRedis } from '@pavlov/testing';
import { eventually, fixtures, type Harness, openHarness } from './fixtures/harness';
import { isAlive } from './process-lock';

let harness: Harness;
beforeEach(async () => {
  harness = await openHarness({ redis: await startTestRedis(), compiled: await bundle(...fixtures) });
});
afterEach(() => harness.close());

const weights = async (id: string): Promise<string> =>
  (await harness.store.checkpoints.read(id, 'weights.txt')).toString();

it('gives its job back on SIGTERM and ends with 0; another service finishes it', async () => {
  const service = await harness.startProcess();
  const job = await harness.submit('handed-over', { steps: 300 });
  const pid = await harness.trainerPid(job);
  const asked = Date.now();
  service.kill('SIGTERM');
  expect(await service.ended).toEqual({ code: 0, signal: null });
  expect(Date.now() - asked).toBeLessThan(5000); // before the trainer would have been killed
  expect(isAlive(pid)).toBe(false);
  expect(await harness.state(job)).toBe('waiting');
  expect(await harness.states(job)).toEqual(['active', 'waiting']);

  await harness.startProcess();
  await harness.until(job, 'completed');
  const { attemptsMade, attemptsStarted, stalledCounter } = await harness.reload(job);
  expect({ attemptsMade, attemptsStarted, stalledCounter }).toEqual({
    attemptsMade: 1,
    attemptsStarted: 2,
    stalledCounter: 0,
  });
});

it('loses its trainer when it is killed; another service takes over and ends with the same bytes', async () => {
  const service = await harness.startProcess();
  const undisturbed = await harness.submit('undisturbed', { steps: 150 });
  await harness.until(undisturbed, 'completed');
  const job = await harness.submit('orphaned', { steps: 150 });
  const pid = await harness.trainerPid(job);
  service.kill('SIGKILL');
  await eventually(async () => (isAlive(pid) ? undefined : true), 'the orphaned trainer to end');
  await harness.startProcess();
  await harness.until(job, 'completed');
  expect(await harness.reload(job)).toMatchObject({ attemptsStarted: 2, stalledCounter: 1 });
  expect(await weights('orphaned')).toBe(await weights('undisturbed'));
});

it('stops its trainer when it has lost the lock, and leaves the job to its successor', async () => {
  const host = await harness.startHost();
  const job = await harness.submit('overtaken', { steps: 400 });
  const first = await harness.trainerPid(job);
  await harness.broker.redis.del(`${harness.broker.prefix}:pretraining:overtaken:lock`);
  const second = await harness.trainerPid(job, 1);
  expect(second).not.toBe(first);
  await eventually(async () => (isAlive(first) ? undefined : true), 'the first trainer to be stopped');
  await harness.until(job, 'completed');
  expect(await harness.store.checkpoints.manifest('overtaken')).toMatchObject({ lineage: { attempt: 2 } });
  await host.stop();
});

it('shuts an earlier attempt out once a later one has begun', async () => {
  await harness.startHost();
  const job = await harness.submit('fenced', { steps: 150 });
  await harness.trainerPid(job);
  await harness.store.claim('fenced', 2);
  await harness.until(job, 'failed');
  expect(await harness.store.checkpoints.find('fenced')).toBeUndefined();
  expect(JSON.parse((await harness.reload(job)).failedReason)).toMatchObject({ code: 'STALE_ATTEMPT' });
});

it('serves health, readiness and metrics', async () => {
  const { address, ...service } = await harness.startProcess();
  const get = async (path: string) => {
    const response = await fetch(`${address}${path}`);
    return { status: response.status, body: await response.text() };
  };
  expect(await get('/healthz')).toEqual({ status: 200, body: '{"status":"ok","service":"pretraining"}' });
  const readiness = await get('/readyz');
  expect([readiness.status, JSON.parse(readiness.body)]).toEqual([
    200,
    { service: 'pretraining', ready: true, checks: { redis: 'ok', store: 'ok', worker: 'ok' } },
  ]);
  expect((await get('/metrics')).body).toContain('pavlov_active_jobs');
  expect((await get('/nothing')).status).toBe(404);

  await harness.stopRedis();
  const unready = await eventually(async () => {
    const answer = await get('/readyz');
    return answer.status === 503 ? answer : undefined;
  }, 'the service to notice that Redis is gone');
  expect(JSON.parse(unready.body)).toMatchObject({
    ready: false,
    checks: { store: 'ok', redis: expect.stringContaining('did not answer') },
  });
  expect((await get('/healthz')).status).toBe(200);
  service.kill('SIGTERM');
  expect(await service.ended).toEqual({ code: 0, signal: null });
});
