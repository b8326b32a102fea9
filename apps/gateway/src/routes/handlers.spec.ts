import { type CheckpointManifest, type Completion } from '@pavlov/contracts';
import { createLogger } from '@pavlov/service-kit';
import { type Reply, type RouteRequest } from '../http/route';
import { type Services } from '../services';
import { routes } from '.';

const manifest = (id: string, change: Partial<CheckpointManifest> = {}): CheckpointManifest => ({
  format: 1,
  id,
  createdAt: '2026-11-23T03:14:47.184Z',
  files: [
    { path: 'config.json', bytes: 2, sha256: '0'.repeat(64) },
    { path: 'model.safetensors', bytes: 40, sha256: '0'.repeat(64) },
  ],
  kind: 'policy',
  lineage: { stage: 'sft', jobId: id, attempt: 1, parents: [], datasets: [], config: {}, seed: 0 },
  model: { vocabSize: 300, contextLength: 64, layers: 1, heads: 1, width: 16 },
  tokenizerFingerprint: '',
  metrics: {},
  ...change,
});

/** Handlers know no Express: a request is a record, and a service is whatever answers. */
describe('handlers', () => {
  const checkpoints = [manifest('sft-1'), manifest('reward-1', { kind: 'reward-model' })];
  const store = {
    checkpoints: {
      list: async () => checkpoints,
      manifest: async (id: string) => checkpoints.find((one) => one.id === id),
      tags: async (id: string) => (id === 'sft-1' ? ['best'] : []),
    },
  };

  function call(
    method: string,
    path: string,
    { services, ...request }: { services?: object } & Partial<RouteRequest>,
  ): Promise<Reply> {
    const route = routes.find((one) => one.method === method && one.path === path);
    if (route === undefined) throw new Error(`there is no ${method} ${path}`);
    const whole = { params: {}, query: {}, headers: {}, body: undefined, signal: AbortSignal.any([]), ...request };
    return route.handler(whole, {
      store,
      logger: createLogger('gateway', 'silent'),
      ...services,
    } as unknown as Services);
  }

  it('list checkpoints newest first, with their size and tags', async () => {
    const reply = await call('get', '/v1/checkpoints', {});
    expect(reply).toMatchObject({
      status: 200,
      body: { items: [{ id: 'reward-1' }, { id: 'sft-1', bytes: 42, tags: ['best'] }] },
    });
    expect(await call('get', '/v1/checkpoints', { query: { tag: 'best' } })).toMatchObject({
      body: { items: [{ id: 'sft-1' }] },
    });
  });

  it('ask the inference service only for what can answer', async () => {
    const completion: Completion = { checkpoint: 'sft-1', choices: [], promptTokens: 1, seconds: 0 };
    const complete = jest.fn().mockResolvedValue(completion);
    const ask = (checkpoint: string) =>
      call('post', '/v1/completions', { body: { checkpoint }, services: { inference: { complete } } });
    expect(await ask('sft-1')).toEqual({ status: 200, body: completion });
    await expect(ask('reward-1')).rejects.toMatchObject({
      code: 'CHECKPOINT_WRONG_KIND',
      body: { field: 'checkpoint' },
    });
    expect(complete.mock.calls).toEqual([[{ checkpoint: 'sft-1' }]]);
  });

  it('name what is not ready, and say no more of it', async () => {
    const readiness = {
      redis: async () => undefined,
      store: async () => Promise.reject(new Error('EROFS: /srv/secret')),
    };
    const refused = call('get', '/readyz', { services: { readiness } });
    await expect(refused).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE', message: 'Not ready: store.' });
  });
});
