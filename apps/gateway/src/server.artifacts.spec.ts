import {
  type CheckpointView,
  type DatasetManifest,
  type EvaluationReport,
  type StageCatalogue,
  stageConfigs,
  stages,
} from '@pavlov/contracts';
import { startTestRedis, type TestRedis } from '@pavlov/testing';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Harness, openHarness, publishCheckpoint } from './fixtures/harness';

const jsonLines = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

describe('artefacts', () => {
  let redis: TestRedis;
  let gateway: Harness;
  let imports: string;

  beforeAll(async () => {
    redis = await startTestRedis();
    imports = join(redis.home, 'imports');
    await mkdir(imports);
    gateway = await openHarness(redis, { uploads: { maxBytes: 10_000, maxFiles: 3, allowedRoots: [imports] } });
  });
  afterAll(async () => {
    await gateway.close();
    await redis.stop();
  });

  const upload = (query: string, body: string, type = 'application/x-ndjson') =>
    gateway.call<DatasetManifest>('POST', `/v1/datasets${query}`, { body, headers: { 'content-type': type } });
  const rowsOf = async ({ id }: DatasetManifest): Promise<unknown[]> =>
    (await gateway.store.datasets.read(id, 'data.jsonl'))
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);

  describe('datasets', () => {
    it.each<[string, unknown[]]>([
      ['text', [{ text: 'The sky is blue.' }, { text: 'Grass is green.' }]],
      [
        'demonstrations',
        [
          { prompt: 'How are you?', completion: 'Fine.' },
          {
            messages: [
              { role: 'user', content: 'Hi' },
              { role: 'assistant', content: 'Hello.' },
            ],
          },
        ],
      ],
      ['prompts', [{ prompt: 'Who?' }, { prompt: 'Why?', answer: 'So.', category: 'reasons' }]],
      [
        'rankings',
        [
          { prompt: 'Hi', completions: ['a', 'b', 'c'], ranks: [1, 2, 2] },
          { prompt: 'Hi', chosen: 'a', rejected: 'b' },
        ],
      ],
    ])('of %s are checked, stored and shown', async (kind, rows) => {
      const checked = await gateway.call('POST', `/v1/datasets/validate?kind=${kind}&name=mine`, {
        body: jsonLines(rows),
        headers: { 'content-type': 'application/x-ndjson' },
      });
      expect(checked).toMatchObject({ status: 200, body: { kind, rows: rows.length } });
      expect((await gateway.call<{ items: DatasetManifest[] }>('GET', `/v1/datasets?kind=${kind}`)).body.items).toEqual(
        [],
      );
      const { status, body } = await upload(`?kind=${kind}&name=mine`, jsonLines(rows));
      expect(status).toBe(201);
      expect(body).toMatchObject({
        kind,
        name: 'mine',
        rows: rows.length,
        sha256: (checked.body as DatasetManifest).sha256,
      });
      expect(await rowsOf(body)).toEqual(rows);
      expect((await gateway.call('GET', `/v1/datasets/${body.id}`)).body).toEqual(body);
      expect((await gateway.call<{ items: DatasetManifest[] }>('GET', `/v1/datasets?kind=${kind}`)).body.items).toEqual(
        [body],
      );
    });

    it('are the same however often and in whatever way they are sent', async () => {
      const first = await upload('?kind=prompts&name=Same%20Again!', '{"prompt": "a", "answer": "b"}\n');
      const again = await upload('?kind=prompts&name=Same%20Again!', '\n{"answer":"b","prompt":"a"}\r\n\n');
      expect([first.status, again.status]).toEqual([201, 200]);
      expect(again.body).toEqual(first.body);
      expect(first.body.id).toMatch(/^same-again-[0-9a-f]{10}$/);
      const others = await Promise.all(
        ['{"prompt": "b"}\n', '{"prompt": "b"}\n', '{"prompt": "b"}\n'].map((body) =>
          upload('?kind=prompts&name=twins', body),
        ),
      );
      expect(new Set(others.map(({ body }) => body.id)).size).toBe(1);
    });

    it('have an id even where their name has no letters for one', async () => {
      expect((await upload('?kind=prompts&name=%E6%95%B0%E6%8D%AE', '{"prompt": "c"}\n')).body.id).toMatch(
        /^prompts-[0-9a-f]{10}$/,
      );
    });

    it('may be one plain text, or one in Markdown', async () => {
      const text = await upload('?kind=text&name=note', 'Once upon a time.\nThe end.\n', 'text/plain; charset=utf-8');
      expect(await rowsOf(text.body)).toEqual([{ text: 'Once upon a time.\nThe end.' }]);
      expect((await upload('?kind=text&name=readme', '# Title', 'text/markdown')).body).toMatchObject({
        kind: 'text',
        rows: 1,
      });
    });

    it('may be several files of a form', async () => {
      const form = new FormData();
      form.set('kind', 'text');
      form.set('name', 'two texts');
      form.append('files', new Blob(['One.']), 'ein stück.txt');
      form.append('files', new Blob(['Two.']), 'two.md');
      const { status, body } = await gateway.call<DatasetManifest>('POST', '/v1/datasets', { body: form });
      expect(status).toBe(201);
      expect(await rowsOf(body)).toEqual([{ text: 'One.' }, { text: 'Two.' }]);
    });

    it('may be a folder or a file on the server', async () => {
      await mkdir(join(imports, 'texts', 'inner'), { recursive: true });
      await writeFile(join(imports, 'texts', 'b.txt'), 'Second.');
      await writeFile(join(imports, 'texts', 'a.md'), 'First.');
      await writeFile(join(imports, 'texts', 'inner', 'c.txt'), 'Third.');
      await writeFile(join(imports, 'texts', 'picture.png'), 'not text');
      const folder = await gateway.post<DatasetManifest>('/v1/datasets', {
        kind: 'text',
        name: 'folder',
        path: join(imports, 'texts'),
      });
      expect(await rowsOf(folder.body)).toEqual([{ text: 'First.' }, { text: 'Second.' }, { text: 'Third.' }]);
      const file = await gateway.post<DatasetManifest>('/v1/datasets', {
        kind: 'text',
        name: 'file',
        path: join(imports, 'texts', 'b.txt'),
      });
      expect(await rowsOf(file.body)).toEqual([{ text: 'Second.' }]);
    });

    it('lose prompts that begin as an earlier one does, if asked to, however they are sent', async () => {
      const rows = [{ prompt: 'What is 3 plus 4?' }, { prompt: 'What is 3 plus 5?' }, { prompt: 'Who is Mira?' }];
      const kept = [rows[0], rows[2]];
      const raw = await upload('?kind=prompts&name=raw&dedupePrefix=10', jsonLines(rows));
      const form = new FormData();
      for (const [field, value] of Object.entries({ kind: 'prompts', name: 'form', dedupePrefix: '10' }))
        form.set(field, value);
      form.append('files', new Blob([jsonLines(rows)]), 'rows.jsonl');
      const inForm = await gateway.call<DatasetManifest>('POST', '/v1/datasets', { body: form });
      const path = join(imports, 'prompts.jsonl');
      await writeFile(path, jsonLines(rows));
      const named = { kind: 'prompts', name: 'named', path };
      const onServer = await gateway.post<DatasetManifest>('/v1/datasets', { ...named, dedupePrefix: 10 });
      for (const { status, body } of [raw, inForm, onServer]) {
        expect([status, body.rows, body.statistics.droppedByPrefix]).toEqual([201, 2, 1]);
        expect(await rowsOf(body)).toEqual(kept);
      }
      expect((await gateway.post<DatasetManifest>('/v1/datasets', named)).body).toMatchObject({ rows: 3 });
      const checked = await gateway.post('/v1/datasets/validate', { ...named, dedupePrefix: 10 });
      expect(checked.body).toMatchObject({ rows: 2, statistics: { droppedByPrefix: 1 } });
    });

    it('lose no prompts by a prefix that is no number, or in a kind without prompts', async () => {
      for (const dedupePrefix of ['0', 'ten'])
        expect(
          await gateway.refusal('POST', `/v1/datasets?kind=prompts&name=raw&dedupePrefix=${dedupePrefix}`, {
            body: jsonLines([{ prompt: 'Who?' }]),
            headers: { 'content-type': 'application/x-ndjson' },
          }),
        ).toMatchObject({ code: 'INVALID_REQUEST', field: 'dedupePrefix' });
      expect(
        await gateway.refusal('POST', '/v1/datasets?kind=text&name=raw&dedupePrefix=9', {
          body: 'One.',
          headers: { 'content-type': 'text/plain' },
        }),
      ).toMatchObject({ code: 'CONFIG_CONFLICT', field: 'dedupePrefix' });
    });

    it('are refused when they are too large, in one piece, in parts, or in number', async () => {
      expect(
        await gateway.refusal('POST', '/v1/datasets?kind=text&name=big', {
          body: 'x'.repeat(10_001),
          headers: { 'content-type': 'text/plain' },
        }),
      ).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
      const form = (sizes: readonly number[]) => {
        const data = new FormData();
        data.set('kind', 'text');
        data.set('name', 'big');
        sizes.forEach((size, index) => data.append('files', new Blob(['x'.repeat(size)]), `${index}.txt`));
        return data;
      };
      for (const sizes of [[10_001], [6000, 6000], [1, 1, 1, 1]]) {
        expect(await gateway.refusal('POST', '/v1/datasets', { body: form(sizes) })).toMatchObject({
          code: 'PAYLOAD_TOO_LARGE',
        });
      }
    });

    it('leave no temporary files behind, taken or refused', async () => {
      const own = `pavlov-upload-${process.pid}-`; // other processes upload, too
      const leftovers = async () => (await readdir(tmpdir())).filter((name) => name.startsWith(own));
      const before = await leftovers();
      await upload('?kind=prompts&name=mine', '{"prompt": "x"}');
      await upload('?kind=prompts&name=mine', '{"prompt"');
      expect((await leftovers()).filter((name) => !before.includes(name))).toEqual([]);
    });
  });

  describe('checkpoints', () => {
    let demos: DatasetManifest;

    beforeAll(async () => {
      demos = (await upload('?kind=demonstrations&name=demos', '{"prompt": "a", "completion": "b"}')).body;
      await publishCheckpoint(gateway.store, {
        id: 'base-1',
        stage: 'pretraining',
        datasets: [{ field: 'dataset', id: 'lost-corpus', sha256: '' }],
      });
      await publishCheckpoint(gateway.store, {
        id: 'sft-1',
        parents: [{ field: 'policy', id: 'base-1' }],
        datasets: [{ field: 'dataset', id: demos.id, sha256: demos.sha256 }],
      });
      await publishCheckpoint(gateway.store, {
        id: 'reward-1',
        kind: 'reward-model',
        stage: 'reward-modeling',
        parents: [{ field: 'policy', id: 'sft-1' }],
      });
      await publishCheckpoint(gateway.store, {
        id: 'ppo-1',
        stage: 'ppo',
        parents: [
          { field: 'policy', id: 'sft-1' },
          { field: 'reward', id: 'reward-1' },
        ],
      });
    });

    const list = async (query = '') =>
      (await gateway.call<{ items: { id: string; tags: string[]; bytes: number }[] }>('GET', `/v1/checkpoints${query}`))
        .body.items;
    const tag = (id: string, tags: readonly string[]) =>
      gateway.call('PUT', `/v1/checkpoints/${id}/tags`, {
        body: JSON.stringify({ tags }),
        headers: { 'content-type': 'application/json' },
      });

    it('are listed newest first, by stage, kind and tag', async () => {
      expect((await list()).map(({ id }) => id)).toEqual(['ppo-1', 'reward-1', 'sft-1', 'base-1']);
      expect((await list('?stage=sft')).map(({ id }) => id)).toEqual(['sft-1']);
      expect((await list('?kind=reward-model')).map(({ id }) => id)).toEqual(['reward-1']);
      expect((await tag('sft-1', ['best', 'a', 'best'])).body).toEqual({ tags: ['a', 'best'] });
      expect(await list('?tag=best')).toEqual([expect.objectContaining({ id: 'sft-1', tags: ['a', 'best'] })]);
      expect(await list('?tag=worst')).toEqual([]);
    });

    it('keep their manifest when tags change, and refuse tags that are none', async () => {
      const before = (await gateway.call<CheckpointView>('GET', '/v1/checkpoints/ppo-1')).body.manifest;
      await tag('ppo-1', ['released']);
      const { manifest, tags } = (await gateway.call<CheckpointView>('GET', '/v1/checkpoints/ppo-1')).body;
      expect({ manifest, tags }).toEqual({ manifest: before, tags: ['released'] });
      expect(await tag('ppo-1', ['Not A Tag'])).toMatchObject({
        status: 400,
        body: { code: 'INVALID_REQUEST', field: 'tags.0' },
      });
      expect((await tag('none-1', [])).status).toBe(404);
    });

    it('tell of all that they were made from, nearest first and each once', async () => {
      const { ancestors } = (await gateway.call<CheckpointView>('GET', '/v1/checkpoints/ppo-1')).body;
      expect(ancestors).toEqual([
        {
          id: 'sft-1',
          kind: 'policy',
          stage: 'sft',
          missing: false,
          usedBy: [
            { id: 'ppo-1', field: 'policy' },
            { id: 'reward-1', field: 'policy' },
          ],
        },
        {
          id: 'reward-1',
          kind: 'reward-model',
          stage: 'reward-modeling',
          missing: false,
          usedBy: [{ id: 'ppo-1', field: 'reward' }],
        },
        {
          id: 'base-1',
          kind: 'policy',
          stage: 'pretraining',
          missing: false,
          usedBy: [{ id: 'sft-1', field: 'policy' }],
        },
        { id: demos.id, kind: 'demonstrations', missing: false, usedBy: [{ id: 'sft-1', field: 'dataset' }] },
        { id: 'lost-corpus', kind: 'unknown', missing: true, usedBy: [{ id: 'base-1', field: 'dataset' }] },
      ]);
    });

    it('can be downloaded file by file', async () => {
      const response = await fetch(`${gateway.address}/v1/checkpoints/sft-1/files/model.safetensors`);
      expect(await response.text()).toBe('weights of sft-1');
      expect(response.headers.get('content-length')).toBe('16');
      expect(response.headers.get('content-type')).toBe('application/octet-stream');
      expect(response.headers.get('content-disposition')).toBe('attachment; filename="model.safetensors"');
    });

    it('break a download off rather than pass on bytes that are not those published', async () => {
      const path = join(redis.home, 'store', 'checkpoints', 'base-1', 'model.safetensors');
      await rm(path, { force: true });
      await writeFile(path, 'weights of base-2');
      const download = async () =>
        (await fetch(`${gateway.address}/v1/checkpoints/base-1/files/model.safetensors`)).text();
      await expect(download()).rejects.toThrow();
    });
  });

  describe('reports', () => {
    const report: EvaluationReport = {
      id: 'evaluation-1',
      seed: 1,
      temperature: 0,
      weights: 'float32',
      policies: [],
      samples: [],
    };

    it('are shown, and can be downloaded for people', async () => {
      const lineage = {
        stage: 'evaluation' as const,
        jobId: 'evaluation-1',
        attempt: 1,
        parents: [],
        datasets: [],
        config: {},
        seed: 1,
      };
      const files = { 'report.json': JSON.stringify(report), 'report.md': '# Report' };
      await gateway.store.reports.publish({ manifest: { id: 'evaluation-1', kind: 'report', lineage }, files });
      expect((await gateway.call<{ report: EvaluationReport }>('GET', '/v1/reports/evaluation-1')).body.report).toEqual(
        report,
      );
      const markdown = await fetch(`${gateway.address}/v1/reports/evaluation-1/files/report.md`);
      expect([markdown.headers.get('content-type'), await markdown.text()]).toEqual([
        'text/markdown; charset=utf-8',
        '# Report',
      ]);
    });
  });

  describe('stages', () => {
    it('are listed with the schema and the defaults of each option', async () => {
      const { items } = (await gateway.call<StageCatalogue>('GET', '/v1/stages')).body;
      expect(items.map(({ stage }) => stage)).toEqual(stages);
      const sft = items[1];
      expect(sft).toMatchObject({ makes: 'policy', links: { policy: 'pretraining' } });
      expect((sft.schema.properties as Record<string, unknown>).epochs).toMatchObject({
        type: 'integer',
        default: 16,
        description: 'Passes over the demonstrations; 16 in InstructGPT.',
      });
      for (const { stage, defaults } of items) {
        const given = {
          ...defaults,
          dataset: 'a-1',
          policy: 'a-1',
          prompts: 'a-1',
          rankings: 'a-1',
          reward: 'a-1',
          labeller: { kind: 'import', dataset: 'a-1' },
          policies: [{ name: 'a', checkpoint: 'a-1' }],
        };
        const known = Object.fromEntries(Object.entries(given).filter(([key]) => key in stageConfigs[stage].shape));
        const required = Object.fromEntries(Object.entries(known).filter(([key]) => !(key in defaults)));
        expect(stageConfigs[stage].parse(known)).toEqual(stageConfigs[stage].parse(required));
      }
    });
  });
});
