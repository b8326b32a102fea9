import { type Completion, type CompletionPayload, inferenceQueue } from '@pavlov/contracts';
import { launchPrivateRedis, stopRedis } from '@pavlov/service-kit';
import { startTestRedis, type TestRedis } from '@pavlov/testing';
import { UnrecoverableError, Worker } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Harness, openHarness, publishCheckpoint } from './fixtures/harness';

describe('operations', () => {
  let redis: TestRedis;
  let gateway: Harness;

  beforeAll(async () => {
    redis = await startTestRedis();
    gateway = await openHarness(redis, { inference: { timeoutMs: 1000, maxWaiting: 2 } });
    await publishCheckpoint(gateway.store, { id: 'sft-1' });
    await publishCheckpoint(gateway.store, { id: 'reward-1', kind: 'reward-model' });
  });
  afterAll(async () => {
    await gateway.close();
    await redis.stop();
  });

  describe('completions', () => {
    const stops: (() => Promise<void>)[] = [];
    afterEach(async () => {
      await Promise.all(stops.splice(0).map((stop) => stop()));
      await gateway.broker.redis.flushall();
    });

    /** A stand-in for the inference service. */
    async function serve(answer: (payload: CompletionPayload) => Promise<unknown>): Promise<void> {
      const connection = gateway.broker.redis.duplicate({ maxRetriesPerRequest: null });
      const worker = new Worker(inferenceQueue, (job) => answer(job.data as CompletionPayload), {
        connection,
        prefix: gateway.broker.prefix,
      });
      worker.on('error', () => undefined);
      stops.push(async () => {
        await worker.close(true);
        connection.disconnect();
      });
      await worker.waitUntilReady();
    }
    const waiting = (): string => `${gateway.broker.prefix}:${inferenceQueue}:wait`;
    const ask = (request = {}) =>
      gateway.post<Completion & { code: string }>('/v1/completions', {
        checkpoint: 'sft-1',
        prompt: 'How are you?',
        ...request,
      });
    const answer: Completion = {
      checkpoint: 'sft-1',
      choices: [{ text: 'Fine.', finish: 'stop', tokens: 3, logprob: -1.5 }],
      promptTokens: 8,
      seconds: 0.01,
    };

    it('are answered by the inference service, which gets every option', async () => {
      const seen: CompletionPayload[] = [];
      await serve(async (payload) => {
        seen.push(payload);
        return answer;
      });
      expect(await ask({ n: 2 })).toMatchObject({ status: 200, body: answer });
      expect(seen[0].request).toEqual({
        checkpoint: 'sft-1',
        prompt: 'How are you?',
        temperature: 0.7,
        topK: 0,
        topP: 1,
        maxNewTokens: 32,
        weights: 'float32',
        n: 2,
        seed: 0,
      });
      expect(seen[0].deadline).toBeGreaterThan(Date.now() - 10_000);
    });

    it('pass on why the service cannot answer', async () => {
      await serve(() =>
        Promise.reject(
          new UnrecoverableError(
            JSON.stringify({ code: 'SEQUENCE_TOO_LONG', message: 'Too long.', hint: 'Shorten it.' }),
          ),
        ),
      );
      expect(await ask()).toMatchObject({ status: 422, body: { code: 'SEQUENCE_TOO_LONG', message: 'Too long.' } });
    });

    it('are refused at once where no service runs', async () => {
      const { status, body, headers } = await ask();
      expect({ status, code: body.code, retry: headers.get('retry-after') }).toEqual({
        status: 503,
        code: 'SERVICE_UNAVAILABLE',
        retry: '2',
      });
    });

    it('end with a timeout, and the service is not left with the question', async () => {
      let release: () => void = () => undefined;
      const busy = new Promise<void>((resolve) => (release = resolve));
      await serve(() => busy);
      const answers = await Promise.all([ask(), ask()]);
      for (const { status, body } of answers)
        expect({ status, code: body.code }).toEqual({ status: 504, code: 'TIMEOUT' });
      expect(await gateway.broker.redis.llen(waiting())).toBe(0);
      release();
    });

    it('are refused at once where too many wait', async () => {
      await serve(() => new Promise(() => undefined));
      const crowd = Array.from({ length: 5 }, () => ask());
      while ((await gateway.broker.redis.llen(waiting())) < 2) await sleep(10);
      const late = await ask();
      expect({ status: late.status, code: late.body.code }).toEqual({ status: 503, code: 'SERVICE_UNAVAILABLE' });
      await Promise.all(crowd);
    });

    it.each([
      [{ checkpoint: 'gone-1' }, 404, 'CHECKPOINT_NOT_FOUND'],
      [{ checkpoint: 'reward-1' }, 422, 'CHECKPOINT_WRONG_KIND'],
      [{ messages: [{ role: 'user', content: 'Hi' }] }, 400, 'INVALID_REQUEST'],
      [{ n: 17 }, 400, 'INVALID_REQUEST'],
      [{ top_p: 0.5 }, 400, 'UNKNOWN_OPTION'],
    ])('are refused for %j', async (...[request, status, code]) => {
      const refused = await ask(request);
      expect({ status: refused.status, code: refused.body.code }).toEqual({ status, code });
    });
  });

  describe('pages', () => {
    const page = async (path: string) => {
      const response = await fetch(gateway.address + path);
      return {
        status: response.status,
        policy: response.headers.get('content-security-policy') ?? '',
        text: await response.text(),
      };
    };

    it('the documentation and all that it loads come from the gateway itself', async () => {
      const { status, policy, text } = await page('/docs');
      expect(status).toBe(200);
      expect(policy).toContain("script-src 'self'");
      const links = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link);
      expect(links.length).toBeGreaterThan(3);
      for (const link of links) expect({ link, status: (await page(link)).status }).toEqual({ link, status: 200 });
      expect((await page('/docs/start.js')).text).toContain('/openapi.json');
    });

    it('the queues of every service are shown, and nothing in them can be changed', async () => {
      const { status, policy, text } = await page('/queues');
      expect(status).toBe(200);
      expect(policy).toContain("script-src 'self'");
      expect(text).toContain('<title>Pavlov</title>');
      const { queues } = JSON.parse(
        (await page('/queues/api/queues?activeQueue=sft&status=latest&page=1&jobsPerPage=10')).text,
      ) as { queues: { name: string; readOnlyMode: boolean }[] };
      expect(queues.map(({ name, readOnlyMode }) => [name, readOnlyMode])).toEqual(
        ['pretraining', 'sft', 'feedback', 'reward-modeling', 'ppo', 'evaluation', 'inference'].map((name) => [
          name,
          true,
        ]),
      );
    });

    it('answers of the API may not be shown as pages of anything', async () => {
      expect((await page('/v1/stages')).policy).toBe("default-src 'none'; frame-ancestors 'none'");
    });
  });

  describe('health', () => {
    it('says that it lives and can work', async () => {
      expect((await gateway.call('GET', '/healthz')).body).toEqual({ status: 'ok', service: 'gateway' });
      expect((await gateway.call('GET', '/readyz')).body).toEqual({
        service: 'gateway',
        ready: true,
        checks: { redis: 'ok', store: 'ok' },
      });
    });

    it('counts requests by route, and jobs by queue', async () => {
      await gateway.call('GET', '/v1/checkpoints/sft-1');
      await gateway.call('GET', '/v1/checkpoints/none-1');
      const text = (await gateway.call<string>('GET', '/metrics')).body;
      expect(text).toMatch(
        /pavlov_http_request_seconds_count\{[^}]*method="GET",route="\/v1\/checkpoints\/\{id\}",status="404"[^}]*\} 1/,
      );
      expect(text).toMatch(/pavlov_queue_jobs\{[^}]*queue="sft",state="waiting"[^}]*\} 0/);
    });

    it('says that it cannot work while Redis is away, and goes on once it is back', async () => {
      const other = await startTestRedis();
      const patient = await openHarness(other);
      await stopRedis({ home: other.home });
      expect((await patient.refusal('GET', '/readyz')).message).toBe('Not ready: redis.');
      expect((await patient.refusal('GET', '/v1/jobs')).code).toBe('SERVICE_UNAVAILABLE');
      expect((await patient.call('GET', '/healthz')).status).toBe(200);
      expect((await patient.call<string>('GET', '/metrics')).body).toContain('pavlov_http_request_seconds');
      await launchPrivateRedis({ home: other.home });
      while ((await patient.call('GET', '/readyz')).status !== 200) await sleep(50);
      expect((await patient.call('GET', '/v1/jobs')).status).toBe(200);
      await patient.close();
      await other.stop();
    });
  });
});
