import { type ErrorBody } from '@pavlov/contracts';
import { advertiseRewardFunctions } from '@pavlov/service-kit';
import { startTestRedis, type TestRedis } from '@pavlov/testing';
import { type Harness, openHarness, publishCheckpoint, publishRows } from './fixtures/harness';

describe('reward functions', () => {
  let redis: TestRedis;
  let gateway: Harness;
  let prompts: string;
  let unanswered: string;

  beforeAll(async () => {
    redis = await startTestRedis();
    gateway = await openHarness(redis);
    const rows = [{ prompt: 'What is the colour of the sky?', answer: 'blue', category: 'colours' }];
    prompts = await publishRows(gateway.store, { kind: 'prompts', rows });
    unanswered = await publishRows(gateway.store, { kind: 'prompts', rows: [...rows, { prompt: 'Why?' }] });
    await publishCheckpoint(gateway.store, { id: 'sft-1' });
  });
  afterEach(() => gateway.broker.redis.flushall());
  afterAll(async () => {
    await gateway.close();
    await redis.stop();
  });

  const ppo = (config: Record<string, unknown>) => ({ policy: 'sft-1', prompts, maxNewTokens: 8, ...config });
  const submit = async (config: Record<string, unknown>) =>
    gateway.post<ErrorBody>('/v1/jobs', { stage: 'ppo', config: ppo(config) });
  const refusal = async (config: Record<string, unknown>) => {
    const { status, body } = await submit(config);
    expect(await gateway.enqueued()).toBe(0);
    return { status, ...body };
  };
  const calls = (...names: string[]) => names.map((name) => ({ kind: 'function', name }));
  const listed = async () => (await gateway.call('GET', '/v1/reward-functions')).body;
  const advertise = (...names: string[]) =>
    advertiseRewardFunctions(
      gateway.broker,
      names.map((name) => ({ name, description: `All about ${name}.` })),
    );

  it('are those built in, where no ppo service has been started', async () => {
    expect(await listed()).toEqual({
      items: ['demo-world', 'brevity', 'variety'].map((name) => ({ name, description: expect.any(String) })),
    });
  });

  it('are also those of the ppo service that was started last', async () => {
    await advertise('kindness', 'wit');
    await advertise('kindness', 'candour');
    expect(await listed()).toMatchObject({
      items: [
        { name: 'demo-world' },
        { name: 'brevity' },
        { name: 'variety' },
        { name: 'kindness', description: 'All about kindness.' },
        { name: 'candour' },
      ],
    });
  });

  it('can be rewards and held-out judges once they are there', async () => {
    await advertise('kindness', 'candour');
    const rewardFunctions = [...calls('kindness', 'brevity'), { kind: 'http', url: 'http://judge.example/score' }];
    const { status } = await submit({ rewardFunctions, monitor: { heldOut: calls('candour')[0] } });
    expect(status).toBe(201);
  });

  it('that are not there are refused, each by its field, with those that are', async () => {
    await advertise('kindness');
    const body = await refusal({
      rewardFunctions: calls('brevity', 'kindnes', 'candour'),
      monitor: { heldOut: calls('truth')[0] },
    });
    expect(body).toMatchObject({
      status: 422,
      code: 'UNKNOWN_REWARD_FUNCTION',
      field: 'config.rewardFunctions.1.name',
      message: 'There is no reward function “kindnes”. There are: demo-world, brevity, variety, kindness.',
      hint: 'Did you mean `kindness`?',
    });
    expect(body.issues?.map(({ field }) => field)).toEqual([
      'config.rewardFunctions.1.name',
      'config.rewardFunctions.2.name',
      'config.monitor.heldOut.name',
    ]);
  });

  it('that are not there are refused in pipelines, too', async () => {
    const { body } = await gateway.post<ErrorBody>('/v1/pipelines', {
      stages: { ppo: ppo({ rewardFunctions: calls('zeal') }) },
    });
    expect(body).toMatchObject({
      code: 'UNKNOWN_REWARD_FUNCTION',
      field: 'stages.ppo.rewardFunctions.0.name',
      hint: expect.stringContaining('PAVLOV_REWARDS'),
    });
  });

  it.each([
    ['reward', () => ({ rewardFunctions: calls('brevity', 'demo-world') })],
    ['held-out judge', () => ({ rewardFunctions: calls('brevity'), monitor: { heldOut: calls('demo-world')[0] } })],
  ])('that are oracles need, as a %s, an answer of every prompt', async (_use, config) => {
    expect(await refusal({ ...config(), prompts: unanswered })).toMatchObject({
      code: 'DATASET_INVALID_ROW',
      field: 'config.prompts',
      line: 2,
    });
    expect((await submit(config())).status).toBe(201);
  });

  it('of other kinds need none', async () => {
    expect((await submit({ rewardFunctions: calls('brevity'), prompts: unanswered })).status).toBe(201);
  });

  it.each([
    ['http://user:secret@judge.example/', 'no user name or password'],
    ['ftp://judge.example/', 'URL'],
    ['judge', 'URL'],
  ])('are not called at %s', async (url, message) => {
    expect(await refusal({ rewardFunctions: [{ kind: 'http', url }] })).toMatchObject({
      code: 'INVALID_REQUEST',
      field: 'config.rewardFunctions.0.url',
      message: expect.stringContaining(message),
    });
  });
});
