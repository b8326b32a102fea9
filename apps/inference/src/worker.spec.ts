import { openStore } from '@pavlov/checkpoint-store';
import { type Completion, completionRequest, inferenceQueue } from '@pavlov/contracts';
import {
  createLogger,
  createMetrics,
  openBroker,
  type OpenBroker,
  readEnv,
  type Service,
  type Work,
} from '@pavlov/service-kit';
import { bundle, type Bundle, startTestRedis, type TestRedis } from '@pavlov/testing';
import { Queue, QueueEvents } from 'bullmq';
import { type ChildProcess, type fork } from 'node:child_process';
import { join } from 'node:path';
import { publishModel } from './fixtures/models';
import { startCompletionWorker } from './worker';

describe('completion worker', () => {
  let redis: TestRedis;
  let compiled: Bundle;
  let broker: OpenBroker;
  let service: Service;
  let work: Work;
  let queue: Queue;
  let events: QueueEvents;

  beforeAll(async () => {
    redis = await startTestRedis();
    compiled = await bundle(join(__dirname, 'completer.ts'));
    const env = { ...readEnv({}), home: redis.home, storeRoot: join(redis.home, 'store'), threads: 1 };
    broker = openBroker({ url: redis.url, prefix: env.prefix, whenDown: 'wait', onError: () => undefined });
    const store = openStore({ root: env.storeRoot });
    await publishModel(store, { id: 'a-1', seed: 1 });
    service = {
      name: 'inference',
      env,
      logger: createLogger('inference', 'silent'),
      broker,
      store,
      metrics: createMetrics('inference'),
    };
    work = await startCompletionWorker(service, join(compiled.folder, 'completer.js'));
    queue = new Queue(inferenceQueue, { connection: broker.redis, prefix: env.prefix });
    events = new QueueEvents(inferenceQueue, { connection: broker.redis, prefix: env.prefix });
  });
  afterAll(async () => {
    await work.stop();
    await Promise.all([queue.close(), events.close()]);
    await broker.close();
    await redis.stop();
    await compiled.remove();
  });

  const submit = (request: object = {}, patience = 30_000) => {
    const payload = {
      request: completionRequest.parse({ checkpoint: 'a-1', prompt: 'What is the colour?', ...request }),
      deadline: Date.now() + patience,
    };
    return queue.add('completion', payload);
  };
  const ask = async (request?: object, patience?: number) =>
    (await (await submit(request, patience)).waitUntilFinished(events, 60_000)) as Completion;
  const failure = async (request?: object, patience?: number): Promise<string> =>
    ask(request, patience).then(
      () => 'it was answered',
      (error: Error) => (JSON.parse(error.message) as { code: string }).code,
    );
  const forked = jest.spyOn(jest.requireActual<{ fork: typeof fork }>('node:child_process'), 'fork');
  /** The processes that run models, of those that were started. */
  const modelProcesses = (): number[] =>
    forked.mock.results
      .map(({ value }) => value as ChildProcess)
      .filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
      .map(({ pid }) => pid as number);

  it('starts the process for the first question, and keeps it for the next', async () => {
    expect(modelProcesses()).toEqual([]);
    const first = await ask();
    const processes = modelProcesses();
    expect(processes).toHaveLength(1);
    const second = await ask();
    expect(second.choices).toEqual(first.choices);
    expect(second.seconds).toBeLessThan(first.seconds);
    expect(modelProcesses()).toEqual(processes);
  });

  it('passes on why there is no answer', async () => {
    expect(await failure({ checkpoint: 'gone-1' })).toBe('CHECKPOINT_NOT_FOUND');
    expect(await failure({ prompt: 'word '.repeat(100) })).toBe('SEQUENCE_TOO_LONG');
  });

  it('does not begin what nobody waits for', async () => {
    expect(await failure({}, -1)).toBe('TIMEOUT');
  });

  it('stops what takes too long, and answers the next question', async () => {
    await ask();
    const [pid] = modelProcesses();
    process.kill(pid, 'SIGSTOP'); // as one that computes and computes
    expect(await failure({}, 500)).toBe('TIMEOUT');
    expect((await ask()).choices).toHaveLength(1);
    expect(modelProcesses()).not.toContain(pid);
  });

  it('survives the death of the process', async () => {
    await ask();
    const [pid] = modelProcesses();
    process.kill(pid, 'SIGSTOP');
    const failed = failure();
    await new Promise((resolve) => setTimeout(resolve, 200));
    process.kill(pid, 'SIGKILL');
    expect(await failed).toBe('SERVICE_UNAVAILABLE');
    expect((await ask()).choices).toHaveLength(1);
  });

  it('counts answers and tokens', async () => {
    await ask({ maxNewTokens: 3, temperature: 1 });
    const text = await service.metrics.registry.metrics();
    expect(text).toMatch(/pavlov_jobs_total\{stage="inference",outcome="completed",service="inference"\} [1-9]/);
    expect(text).toMatch(/pavlov_jobs_total\{stage="inference",outcome="failed",service="inference"\} [1-9]/);
    expect(text).toMatch(/pavlov_tokens_total\{stage="inference",service="inference"\} [1-9]/);
    await expect(work.checks.worker()).resolves.toBeUndefined();
  });
});
