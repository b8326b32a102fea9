import { type ErrorCode } from '@pavlov/contracts';
import { startTestRedis, type TestRedis } from '@pavlov/testing';
import { connect } from 'node:net';
import { type Harness, openHarness, publishCheckpoint, publishRows } from './fixtures/harness';

/** Everything that a client can get wrong: each has its code and place, nothing is enqueued, and nothing is lost. */
describe('bad input', () => {
  let redis: TestRedis;
  let gateway: Harness;
  let demos: string;
  let prompts: string;

  beforeAll(async () => {
    redis = await startTestRedis();
    gateway = await openHarness(redis);
    demos = await publishRows(gateway.store, {
      kind: 'demonstrations',
      rows: [{ prompt: 'How are you?', completion: 'I am fine.' }],
    });
    prompts = await publishRows(gateway.store, {
      kind: 'prompts',
      rows: [{ prompt: 'What is the colour of the sky?' }],
    });
    await publishCheckpoint(gateway.store, { id: 'sft-1' });
    await publishCheckpoint(gateway.store, { id: 'reward-1', kind: 'reward-model', stage: 'reward-modeling' });
  });
  afterAll(async () => {
    await gateway.close();
    await redis.stop();
  });
  afterEach(async () => expect(await gateway.enqueued()).toBe(0));

  const type = (contentType: string) => ({ 'content-type': contentType });
  const post = (path: string, body: unknown) =>
    gateway.refusal('POST', path, { body: JSON.stringify(body), headers: type('application/json') });
  const sft = () => ({ policy: 'sft-1', dataset: demos });
  const upload = (kind: string, body: string, contentType = 'application/x-ndjson') =>
    gateway.refusal('POST', `/v1/datasets?kind=${kind}&name=mine`, { body, headers: type(contentType) });

  describe('in what is sent', () => {
    it.each<[string, string, ErrorCode, RequestInit]>([
      [
        'malformed JSON',
        '/v1/jobs',
        'MALFORMED_JSON',
        { body: '{"stage": "sft",}', headers: type('application/json') },
      ],
      ['no body', '/v1/jobs', 'MALFORMED_JSON', { headers: type('application/json') }],
      ['a list for an object', '/v1/jobs', 'INVALID_REQUEST', { body: '[]', headers: type('application/json') }],
      [
        'another content type',
        '/v1/jobs',
        'UNSUPPORTED_MEDIA_TYPE',
        { body: 'stage=sft', headers: type('application/x-www-form-urlencoded') },
      ],
      ['no content type', '/v1/pipelines', 'UNSUPPORTED_MEDIA_TYPE', { body: new Uint8Array([123, 125]) }],
      [
        'an unknown charset',
        '/v1/jobs',
        'UNSUPPORTED_MEDIA_TYPE',
        { body: '{}', headers: type('application/json; charset=klingon') },
      ],
      [
        'an unknown encoding',
        '/v1/jobs',
        'UNSUPPORTED_MEDIA_TYPE',
        { body: '{}', headers: { ...type('application/json'), 'content-encoding': 'zip' } },
      ],
      [
        'too large a body',
        '/v1/jobs',
        'PAYLOAD_TOO_LARGE',
        { body: JSON.stringify({ name: 'x'.repeat(2_000_000) }), headers: type('application/json') },
      ],
      ['an unknown route', '/v1/job', 'ROUTE_NOT_FOUND', {}],
      ['an unknown method', '/v1/stages', 'METHOD_NOT_ALLOWED', {}],
      [
        'a page of another site',
        '/v1/jobs',
        'FORBIDDEN_ORIGIN',
        { body: '{}', headers: { ...type('application/json'), origin: 'https://elsewhere.example' } },
      ],
      [
        'an empty Idempotency-Key',
        '/v1/jobs',
        'INVALID_REQUEST',
        { body: '{}', headers: { ...type('application/json'), 'idempotency-key': '' } },
      ],
    ])('%s', async (...[, path, code, init]) => {
      expect((await gateway.refusal('POST', path, init)).code).toBe(code);
    });

    it('says where JSON goes wrong', async () => {
      const body = await gateway.refusal('POST', '/v1/jobs', {
        body: '{\n "stage": sft\n}',
        headers: type('application/json'),
      });
      expect(body).toMatchObject({
        code: 'MALFORMED_JSON',
        line: 2,
        message: 'The body is not JSON: invalid symbol at line 2, column 11.',
      });
    });

    it('says which methods there are', async () => {
      const { headers } = await gateway.call('DELETE', '/v1/jobs');
      expect(headers.get('allow')).toBe('POST, GET');
    });

    it.each([
      '/v1/jobs/%ff',
      '/v1/jobs/..%2f..',
      '/v1/checkpoints/UPPER',
      '/v1/jobs?limit=0',
      '/v1/jobs?limit=many',
      '/v1/jobs?state=asleep',
      '/v1/jobs?cursor=nothing',
    ])('GET %s', async (path) => {
      expect((await gateway.refusal('GET', path)).code).toBe('INVALID_REQUEST');
    });

    it('suggests the query that was meant', async () => {
      expect(await gateway.refusal('GET', '/v1/jobs?stat=active')).toMatchObject({
        code: 'UNKNOWN_OPTION',
        field: 'stat',
        hint: 'Did you mean `state`?',
      });
      expect(await gateway.refusal('GET', '/v1/jobs?stage=pretrainin')).toMatchObject({
        code: 'UNKNOWN_STAGE',
        hint: 'Did you mean `pretraining`?',
      });
    });

    it('answers in JSON to what is not even HTTP', async () => {
      const { hostname, port } = new URL(gateway.address);
      const text = await new Promise<string>((resolve) => {
        let received = '';
        const socket = connect(Number(port), hostname, () => socket.write('NONSENSE\r\n\r\n'));
        socket.on('data', (data) => (received += data.toString()));
        socket.on('close', () => resolve(received));
      });
      expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
      expect(JSON.parse(text.split('\r\n\r\n')[1])).toMatchObject({ code: 'INVALID_REQUEST' });
    });
  });

  describe('in a submission', () => {
    it.each<[string, () => unknown, ErrorCode, string]>([
      ['an unknown stage', () => ({ stage: 'stf', config: sft() }), 'UNKNOWN_STAGE', 'stage'],
      ['no stage', () => ({ config: sft() }), 'INVALID_REQUEST', 'stage'],
      ['an unknown option', () => ({ stage: 'sft', config: { ...sft(), epoch: 1 } }), 'UNKNOWN_OPTION', 'config.epoch'],
      ['an unknown field', () => ({ stage: 'sft', config: sft(), prio: 1 }), 'UNKNOWN_OPTION', 'prio'],
      ['a wrong type', () => ({ stage: 'sft', config: { ...sft(), epochs: '3' } }), 'INVALID_REQUEST', 'config.epochs'],
      [
        'a value out of bounds',
        () => ({ stage: 'sft', config: { ...sft(), learningRate: 0 } }),
        'INVALID_REQUEST',
        'config.learningRate',
      ],
      [
        'an id that is none',
        () => ({ stage: 'sft', config: { ...sft(), policy: '../etc' } }),
        'INVALID_REQUEST',
        'config.policy',
      ],
      [
        'a checkpoint that is not there',
        () => ({ stage: 'sft', config: { ...sft(), policy: 'sft-2' } }),
        'CHECKPOINT_NOT_FOUND',
        'config.policy',
      ],
      [
        'a checkpoint of another kind',
        () => ({ stage: 'sft', config: { ...sft(), policy: 'reward-1' } }),
        'CHECKPOINT_WRONG_KIND',
        'config.policy',
      ],
      [
        'a dataset that is not there',
        () => ({ stage: 'sft', config: { ...sft(), dataset: 'demos-2' } }),
        'DATASET_NOT_FOUND',
        'config.dataset',
      ],
      [
        'a dataset of another kind',
        () => ({ stage: 'sft', config: { ...sft(), dataset: prompts } }),
        'DATASET_WRONG_KIND',
        'config.dataset',
      ],
      [
        'K < 2',
        () => ({
          stage: 'feedback',
          config: {
            policy: 'sft-1',
            prompts,
            labeller: { kind: 'simulated', oracle: 'demo-world' },
            answersPerPrompt: 1,
          },
        }),
        'INVALID_REQUEST',
        'config.answersPerPrompt',
      ],
      [
        'prompts without answers',
        () => ({
          stage: 'feedback',
          config: { policy: 'sft-1', prompts, labeller: { kind: 'simulated', oracle: 'demo-world' } },
        }),
        'DATASET_INVALID_ROW',
        'config.prompts',
      ],
      [
        'more tokens than the context',
        () => ({ stage: 'ppo', config: { policy: 'sft-1', reward: 'reward-1', prompts, maxNewTokens: 64 } }),
        'SEQUENCE_TOO_LONG',
        'config.prompts',
      ],
      [
        'options that contradict each other',
        () => ({ stage: 'ppo', config: { policy: 'sft-1', reward: 'reward-1', prompts, minibatchSize: 33 } }),
        'INVALID_REQUEST',
        'config.minibatchSize',
      ],
    ])('%s', async (...[, request, code, field]) => {
      expect(await post('/v1/jobs', request())).toMatchObject({ code, field });
    });

    it.each<[string, () => unknown, ErrorCode, string]>([
      ['no stages', () => ({ stages: {} }), 'INVALID_REQUEST', 'stages'],
      ['an unknown stage', () => ({ stages: { tuning: {} } }), 'UNKNOWN_STAGE', 'stages.tuning'],
      ['an unknown option', () => ({ stages: { sft: { ...sft(), epoch: 1 } } }), 'UNKNOWN_OPTION', 'stages.sft.epoch'],
      [
        'an input that nothing makes',
        () => ({ stages: { sft: { dataset: demos } } }),
        'MISSING_INPUT',
        'stages.sft.policy',
      ],
      [
        'an input that is not there',
        () => ({ stages: { sft: { ...sft(), policy: 'sft-2' } } }),
        'CHECKPOINT_NOT_FOUND',
        'stages.sft.policy',
      ],
    ])('of a pipeline: %s', async (...[, request, code, field]) => {
      expect(await post('/v1/pipelines', request())).toMatchObject({ code, field });
    });

    it('leaves no trace of a refused submission, nor its key', async () => {
      const headers = { 'idempotency-key': 'tried-before' };
      expect(
        (await gateway.post('/v1/jobs', { stage: 'sft', config: { ...sft(), policy: 'sft-2' } }, headers)).status,
      ).toBe(404);
      expect((await gateway.call<{ items: unknown[] }>('GET', '/v1/jobs')).body.items).toEqual([]);
      expect(await gateway.broker.redis.keys('{test}:submission*')).toEqual([]);
    });
  });

  describe('in an upload', () => {
    it('line 37 without its prompt', async () => {
      const lines = Array.from({ length: 50 }, (_, index) =>
        JSON.stringify(index === 36 ? { answer: 'yes' } : { prompt: `Is it ${index}?` }),
      );
      const expected = {
        code: 'DATASET_INVALID_ROW',
        line: 37,
        field: 'prompt',
        message: expect.stringContaining('Line 37'),
      };
      expect(await upload('prompts', lines.join('\n'))).toMatchObject(expected);
      expect(
        await gateway.refusal('POST', '/v1/datasets/validate?kind=prompts&name=mine', {
          body: lines.join('\n'),
          headers: type('application/x-ndjson'),
        }),
      ).toMatchObject(expected);
    });

    it.each<[string, string, string, Record<string, unknown>]>([
      ['no rows', 'text', '\n\n', { code: 'DATASET_EMPTY' }],
      ['nothing at all', 'prompts', '', { code: 'DATASET_EMPTY' }],
      ['a row that is not JSON', 'prompts', '{"prompt": "a"}\n{"prompt"', { code: 'DATASET_INVALID_ROW', line: 2 }],
      [
        'a demonstration without its completion',
        'demonstrations',
        '{"prompt": "a"}',
        { code: 'DATASET_INVALID_ROW', line: 1, field: 'completion' },
      ],
      [
        'a conversation that the user ends',
        'demonstrations',
        '{"messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]}',
        { code: 'DATASET_INVALID_ROW', field: 'messages' },
      ],
      [
        'a ranking of one',
        'rankings',
        '{"prompt": "a", "completions": ["b"], "ranks": [1]}',
        { code: 'DATASET_INVALID_ROW', field: 'completions' },
      ],
      [
        'fewer ranks than answers',
        'rankings',
        '{"prompt": "a", "completions": ["b", "c"], "ranks": [1]}',
        { code: 'DATASET_INVALID_ROW', field: 'ranks' },
      ],
      [
        'a pair without its rejected',
        'rankings',
        '{"prompt": "a", "chosen": "b"}',
        { code: 'DATASET_INVALID_ROW', field: 'rejected' },
      ],
      ['an unknown kind', 'questions', '{}', { code: 'INVALID_REQUEST', field: 'kind' }],
    ])('%s', async (...[, kind, body, expected]) => {
      expect(await upload(kind, body)).toMatchObject(expected);
    });

    it('a text where rows are wanted, and a type that is neither', async () => {
      expect((await upload('prompts', 'just text', 'text/plain')).code).toBe('UNSUPPORTED_MEDIA_TYPE');
      expect((await upload('text', '<p>', 'text/html')).code).toBe('UNSUPPORTED_MEDIA_TYPE');
    });

    it('neither kind nor name', async () => {
      const body = await gateway.refusal('POST', '/v1/datasets', {
        body: '{"prompt": "a"}',
        headers: type('application/x-ndjson'),
      });
      expect(body.issues?.map(({ field }) => field)).toEqual(['kind', 'name']);
    });

    it('a form without files, and one with files of another sort', async () => {
      const form = new FormData();
      form.set('kind', 'text');
      form.set('name', 'mine');
      expect(await gateway.refusal('POST', '/v1/datasets', { body: form })).toMatchObject({
        code: 'INVALID_REQUEST',
        field: 'files',
      });
      form.append('files', new Blob(['%PDF']), 'paper.pdf');
      expect((await gateway.refusal('POST', '/v1/datasets', { body: form })).code).toBe('UNSUPPORTED_MEDIA_TYPE');
    });

    it('a path outside the allowed folders', async () => {
      expect(await post('/v1/datasets', { kind: 'text', name: 'mine', path: '/etc/passwd' })).toMatchObject({
        code: 'FORBIDDEN_PATH',
        field: 'path',
      });
    });

    it('stores nothing of all this', async () => {
      const { body } = await gateway.call<{ items: { id: string }[] }>('GET', '/v1/datasets');
      expect(body.items.map(({ id }) => id).sort()).toEqual([demos, prompts].sort());
    });
  });

  describe('in what is asked for', () => {
    it.each<[string, string, ErrorCode]>([
      ['GET', '/v1/jobs/sft-0123456789ab', 'JOB_NOT_FOUND'],
      ['GET', '/v1/jobs/no-such-job/events', 'JOB_NOT_FOUND'],
      ['GET', '/v1/jobs/sft-0123456789ab/metrics', 'JOB_NOT_FOUND'],
      ['GET', '/v1/jobs/sft-0123456789ab/logs', 'JOB_NOT_FOUND'],
      ['POST', '/v1/jobs/sft-0123456789ab/cancel', 'JOB_NOT_FOUND'],
      ['GET', '/v1/pipelines/pipeline-0123456789ab', 'PIPELINE_NOT_FOUND'],
      ['POST', '/v1/pipelines/sft-0123456789ab/retry', 'PIPELINE_NOT_FOUND'],
      ['GET', '/v1/datasets/none-1', 'DATASET_NOT_FOUND'],
      ['GET', '/v1/checkpoints/none-1', 'CHECKPOINT_NOT_FOUND'],
      ['GET', '/v1/checkpoints/none-1/files/config.json', 'CHECKPOINT_NOT_FOUND'],
      ['GET', '/v1/checkpoints/sft-1/files/none.bin', 'FILE_NOT_FOUND'],
      ['GET', '/v1/checkpoints/sft-1/files/..%2f..%2freward-1%2fconfig.json', 'FILE_NOT_FOUND'],
      ['GET', '/v1/checkpoints/sft-1/files/manifest.json', 'FILE_NOT_FOUND'],
      ['GET', '/v1/reports/none-1', 'REPORT_NOT_FOUND'],
    ])('%s %s', async (method, path, code) => {
      expect((await gateway.refusal(method, path)).code).toBe(code);
    });

    it('an id of an event that is none', async () => {
      expect(
        await gateway.refusal('GET', '/v1/jobs/sft-0123456789ab/events', { headers: { 'last-event-id': 'first' } }),
      ).toMatchObject({ code: 'INVALID_REQUEST', field: 'last-event-id' });
    });
  });

  it('never shows what a failure looks like inside', async () => {
    const list = jest
      .spyOn(gateway.store.datasets, 'list')
      .mockRejectedValueOnce(new Error('EACCES: /srv/secret/path'));
    const { status, body, headers } = await gateway.call('GET', '/v1/datasets', {
      headers: { 'x-request-id': 'mine-1' },
    });
    expect(status).toBe(500);
    expect(body).toEqual({ code: 'INTERNAL', message: 'The gateway failed.', hint: expect.any(String) });
    expect(headers.get('x-request-id')).toBe('mine-1');
    list.mockRestore();
  });
});
