import { PavlovError } from '@pavlov/contracts';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { openEndpoint } from './endpoint';
import { openReward, type ScoreOptions } from './reward';
import { type Answer } from './reward-function';

const answers: Answer[] = [
  { prompt: 'Why?', response: 'Because.', finished: true, answer: 'so', category: 'reasons' },
  { prompt: 'Who?', response: 'They', finished: false },
];
const body = { rewards: [1, -0.5] };
const rewards = [1, -0.5];

interface Received {
  readonly method?: string;
  readonly type?: string;
  readonly text: string;
}

type Responder = (response: ServerResponse, request: IncomingMessage) => void;

const json =
  (value: unknown): Responder =>
  (response) =>
    response.end(JSON.stringify(value));
const status =
  (code: number, { text = '', headers = {} }: { text?: string; headers?: Record<string, string> } = {}): Responder =>
  (response) =>
    response.writeHead(code, headers).end(text);
const hangUp: Responder = (response) => response.destroy();
const silence: Responder = () => undefined;

describe('a reward endpoint', () => {
  let server: Server;
  let url: string;
  let connections: number;
  let received: Received[];
  /** One for each request; the last one for all further ones. */
  let script: Responder[];

  beforeEach(async () => {
    received = [];
    connections = 0;
    server = createServer((request, response) => {
      void (async () => {
        let text = '';
        for await (const chunk of request) text += String(chunk);
        received.push({ method: request.method, type: request.headers['content-type'], text });
        script[Math.min(received.length, script.length) - 1](response, request);
      })();
    });
    server.on('connection', () => (connections += 1));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/score`;
  });
  afterEach(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });

  /** Asks without waiting between tries; tells how long the waits would have been. */
  async function ask(
    responders: Responder[],
    { retries = 3, timeoutSeconds = 5, ...options }: { retries?: number; timeoutSeconds?: number } & ScoreOptions = {},
  ) {
    script = responders;
    const waits: number[] = [];
    const asking = openEndpoint(
      { kind: 'http', url, timeoutSeconds, retries },
      { giver: 'The judge', pause: async (ms) => waits.push(ms) },
    )(answers, options);
    const [outcome] = await Promise.allSettled([asking]);
    const error = outcome.status === 'rejected' && outcome.reason instanceof PavlovError ? outcome.reason : undefined;
    return {
      given: outcome.status === 'fulfilled' ? outcome.value : undefined,
      thrown: outcome.status === 'rejected' ? (outcome.reason as unknown) : undefined,
      error: error && { ...error.body, retryable: error.retryable },
      waits,
    };
  }

  it('gets every answer in one POST of JSON, and nothing else', async () => {
    script = [json(body)];
    const reward = openReward({ kind: 'http', url, timeoutSeconds: 5, retries: 0 }, new Map());
    const known = answers.map((answer) => ({ ...answer, sequence: [1, 2] }));
    expect(await reward.score(known)).toEqual(Float32Array.from(rewards));
    expect(received).toEqual([{ method: 'POST', type: 'application/json', text: expect.any(String) }]);
    expect(JSON.parse(received[0].text)).toEqual({ answers });
  });

  it('is called over connections that stay open', async () => {
    script = [json(body)];
    const reward = openReward({ kind: 'http', url, timeoutSeconds: 5, retries: 0 }, new Map());
    for (let call = 0; call < 10; call++) await reward.score(answers);
    expect(received).toHaveLength(10);
    expect(connections).toBeLessThanOrEqual(2); // a second one where the first was not yet known to be free
  });

  it.each<[string, Responder, string]>([
    ['a 500', status(500, { text: 'out of\nmemory' }), 'answered 500 and said “out of memory”'],
    ['a 503', status(503), 'answered 503 and said nothing'],
    ['a 429', status(429), 'answered 429'],
    ['a connection that breaks', hangUp, 'cannot be reached: '],
  ])('is asked again after %s', async (_what, responder, reason) => {
    const told: string[] = [];
    const { given, waits } = await ask([responder, responder, json(body)], { onRetry: (why) => told.push(why) });
    expect(given).toEqual(rewards);
    expect(received).toHaveLength(3);
    expect(new Set(received.map(({ text }) => text)).size).toBe(1);
    expect(waits).toHaveLength(2);
    expect(told).toEqual([
      expect.stringMatching(/^The judge .*Further tries: 3\.$/),
      expect.stringMatching(/^The judge .*Further tries: 2\.$/),
    ]);
    expect(told[0]).toContain(reason);
  });

  it('is asked again when it does not answer in time', async () => {
    const { given } = await ask([silence, json(body)], { timeoutSeconds: 0.1001 });
    expect(given).toEqual(rewards);
    expect(received).toHaveLength(2);
  });

  it('has to send the whole answer in time', async () => {
    const trickle: Responder = (response) => void response.write('{ "rewards": [1,');
    const { error } = await ask([trickle], { timeoutSeconds: 0.1, retries: 0 });
    expect(error).toMatchObject({
      code: 'REWARD_UNAVAILABLE',
      message: 'The judge did not answer within 0.1 s.',
      retryable: true,
    });
  });

  it('is given up after the last try', async () => {
    const { error, waits } = await ask([status(502, { text: 'bad gateway' })], { retries: 2 });
    expect(received).toHaveLength(3);
    expect(waits).toHaveLength(2);
    expect(error).toMatchObject({
      code: 'REWARD_UNAVAILABLE',
      message: 'The judge answered 502 and said “bad gateway” (the last of 3 tries).',
      retryable: true,
    });
  });

  it('says where nobody listens', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as AddressInfo;
    free.close();
    await once(free, 'close');
    url = `http://127.0.0.1:${port}/`;
    const { error } = await ask([silence], { retries: 0 });
    expect(error?.message).toBe(`The judge cannot be reached: connect ECONNREFUSED 127.0.0.1:${port}.`);
  });

  it('gets more and more time to recover, the same in every run', async () => {
    const { waits } = await ask([status(500)], { retries: 8 });
    const steps = [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000];
    expect(waits).toHaveLength(steps.length);
    waits.forEach((wait, index) => {
      expect(wait).toBeGreaterThanOrEqual(steps[index]);
      expect(wait).toBeLessThan(steps[index] * 1.2);
    });
    expect(waits[6]).not.toBe(waits[7]);
    received = [];
    expect((await ask([status(500)], { retries: 8 })).waits).toEqual(waits);
  });

  it('may say when it is to be asked again, up to a minute', async () => {
    const later = (value: string) => status(503, { headers: { 'retry-after': value } });
    const soon = new Date(Date.now() + 20_000).toUTCString();
    const { waits } = await ask([later('7'), later(soon), later('86400'), later('soon'), later('-5'), json(body)], {
      retries: 5,
    });
    expect(waits[0]).toBe(7000);
    expect(waits[1]).toBeGreaterThan(17_000);
    expect(waits[1]).toBeLessThanOrEqual(20_000);
    expect(waits[2]).toBe(60_000);
    expect(waits[3]).toBeLessThan(9600);
    expect(waits[4]).toBeLessThan(19_200);
  });

  it('really waits', async () => {
    script = [status(503), json(body)];
    const start = performance.now();
    await openReward({ kind: 'http', url, timeoutSeconds: 5, retries: 1 }, new Map()).score(answers);
    expect(performance.now() - start).toBeGreaterThan(990);
  });

  it.each([400, 401, 404, 422])('is not asked again after a %i', async (code) => {
    const { error } = await ask([status(code, { text: `no: ${'x'.repeat(500)}` })]);
    expect(received).toHaveLength(1);
    expect(error).toMatchObject({ code: 'REWARD_INVALID', retryable: false });
    expect(error?.message).toBe(`The judge answered ${code} and said “no: ${'x'.repeat(196)}…”.`);
  });

  it.each([301, 302, 307, 308])('is not followed to where a %i sends', async (code) => {
    const { error } = await ask([status(code, { headers: { location: '/elsewhere' } }), json(body)]);
    expect(received).toHaveLength(1);
    expect(error).toMatchObject({
      code: 'REWARD_INVALID',
      message: `The judge redirects (${code}) to /elsewhere.`,
    });
  });

  it.each<[string, string]>([
    ['no JSON', 'ok'],
    ['Python’s NaN', '{"rewards": [1, NaN]}'],
    ['no rewards', '{"scores": [1, 2]}'],
    ['a bare list', '[1, 2]'],
    ['nothing', ''],
  ])('is refused when it gives %s', async (_what, text) => {
    const { error } = await ask([status(200, { text })]);
    expect(received).toHaveLength(1);
    expect(error).toMatchObject({
      code: 'REWARD_INVALID',
      message: `The judge said ${text === '' ? 'nothing' : `“${text}”`}.`,
      hint: expect.stringContaining('{ "rewards": [number, …] }'),
    });
  });

  it.each<[string, unknown[], string]>([
    ['too few rewards', [1], 'gave 1 rewards for 2 answers'],
    ['a null', [1, null], 'gave null for answer 2 of 2, to the prompt “Who?”'],
    ['a text', ['1', 2], 'gave the text “1” for answer 1 of 2, to the prompt “Why?”'],
  ])('is refused when it gives %s', async (_what, given, message) => {
    script = [json({ rewards: given })];
    const score = openReward({ kind: 'http', url, timeoutSeconds: 5, retries: 3 }, new Map()).score(answers);
    await expect(score).rejects.toMatchObject({
      code: 'REWARD_INVALID',
      message: `The reward endpoint ${new URL(url).host} ${message}.`,
    });
    expect(received).toHaveLength(1);
  });

  describe('that nobody waits for any more', () => {
    const reason = new Error('cancelled');

    it('is left while it computes', async () => {
      const leaving = new AbortController();
      const start = performance.now();
      const { thrown } = await ask([() => leaving.abort(reason)], { signal: leaving.signal });
      expect(thrown).toBe(reason);
      expect(performance.now() - start).toBeLessThan(2500); // half of the time that it has
      expect(received).toHaveLength(1);
    });

    it('is not asked again', async () => {
      const leaving = new AbortController();
      script = [status(503)];
      const score = openReward({ kind: 'http', url, timeoutSeconds: 5, retries: 20 }, new Map()).score(answers, {
        signal: leaving.signal,
        onRetry: () => setImmediate(() => leaving.abort(reason)),
      });
      await expect(score).rejects.toBe(reason);
      expect(received).toHaveLength(1);
    });

    it('is not asked at all', async () => {
      const { thrown } = await ask([json(body)], { signal: AbortSignal.abort(reason) });
      expect(thrown).toBe(reason);
      expect(received).toEqual([]);
    });
  });
});
