import { type DatasetManifest, PavlovError } from '@pavlov/contracts';
import { bundle } from '@pavlov/testing';
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Publication } from './artifact-set';
import { openStore, type Store } from './store';

let root: string;
let store: Store;
let reported: PavlovError[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pavlov-store-'));
  reported = [];
  store = openStore({ root, onCorrupt: (error) => reported.push(error) });
});
afterEach(() => rmSync(root, { recursive: true }));

const rows = '{"text":"one"}\n{"text":"two"}\n';
const sha256 = (data: string): string => createHash('sha256').update(data).digest('hex');

const publication = (id: string, content = rows): Publication<DatasetManifest> => ({
  manifest: { id, kind: 'text', name: id, rows: 2, bytes: content.length, sha256: sha256(content), statistics: {} },
  files: { 'rows.jsonl': content, 'notes/readme.md': 'made by a test' },
});

const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof PavlovError ? error.code : `not a PavlovError: ${String(error)}`;
};

describe('publishing', () => {
  it('lists every file with its size and SHA-256, and gives the bytes back', async () => {
    const manifest = await store.datasets.publish(publication('corpus'));
    expect(manifest.files).toEqual([
      { path: 'rows.jsonl', bytes: rows.length, sha256: sha256(rows) },
      { path: 'notes/readme.md', bytes: 14, sha256: sha256('made by a test') },
    ]);
    expect(await store.datasets.manifest('corpus')).toEqual(manifest);
    expect((await store.datasets.read('corpus', 'rows.jsonl')).toString()).toBe(rows);
    const chunks: Buffer[] = [];
    for await (const chunk of await store.datasets.stream('corpus', 'notes/readme.md')) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe('made by a test');
  });

  it('is idempotent for the same files and refuses other ones', async () => {
    const first = await store.datasets.publish(publication('corpus'));
    expect(await store.datasets.publish(publication('corpus'))).toEqual(first);
    expect(await codeOf(store.datasets.publish(publication('corpus', '{"text":"other"}\n')))).toBe('ALREADY_PUBLISHED');
    expect((await store.datasets.read('corpus', 'rows.jsonl')).toString()).toBe(rows);
  });

  it('lets one of several concurrent publishers win', async () => {
    const results = await Promise.allSettled(
      ['a', 'b', 'c', 'd'].map((text) => store.datasets.publish(publication('corpus', text))),
    );
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    const manifest = await store.datasets.manifest('corpus');
    expect(sha256((await store.datasets.read('corpus', 'rows.jsonl')).toString())).toBe(manifest.sha256);
  });

  it.each(['../escape', 'a/../b', '/absolute', '.hidden', 'a//b', 'a\\b', '', 'manifest.json', 'tags.json', 'nul\0'])(
    'refuses the file name %j',
    async (path) => {
      const { manifest } = publication('corpus');
      expect(await codeOf(store.datasets.publish({ manifest, files: { [path]: 'x' } }))).toBe('INVALID_REQUEST');
      expect(await store.datasets.find('corpus')).toBeUndefined();
    },
  );

  it.each(['..', '../../etc', 'UPPER', 'a/b', '123', ''])(
    'refuses the id %j, for writing and for reading',
    async (id) => {
      expect(await codeOf(store.datasets.publish(publication(id)))).toBe('INVALID_REQUEST');
      expect(await codeOf(store.datasets.manifest(id))).toBe('INVALID_REQUEST');
      expect(await codeOf(store.datasets.read(id, 'rows.jsonl'))).toBe('INVALID_REQUEST');
      expect(await codeOf(store.claim(id, 1))).toBe('INVALID_REQUEST');
    },
  );

  it('shows nothing of a publisher that was killed half-way', async () => {
    const compiled = await bundle(join(__dirname, 'fixtures', 'publisher.ts'));
    const publisher = fork(join(compiled.folder, 'publisher.js'), [root]);
    const ended = new Promise((resolve) => publisher.once('exit', (_code, signal) => resolve(signal)));
    const staging = join(root, 'tmp');
    const begun = (): boolean =>
      existsSync(staging) &&
      readdirSync(staging, { recursive: true }).some((path) => String(path).endsWith('rows.jsonl'));
    while (!begun()) await new Promise(setImmediate);
    publisher.kill('SIGKILL');
    expect(await ended).toBe('SIGKILL');
    await compiled.remove();

    expect(readdirSync(staging)).toHaveLength(1);
    expect(await store.datasets.list()).toEqual([]);
    expect(await store.datasets.find('half')).toBeUndefined();
    await store.datasets.publish(publication('half'));
    expect((await store.datasets.list()).map((manifest) => manifest.id)).toEqual(['half']);
  });
});

describe('reading', () => {
  it('names what is not there', async () => {
    expect(await codeOf(store.checkpoints.manifest('none'))).toBe('CHECKPOINT_NOT_FOUND');
    expect(await codeOf(store.datasets.read('none', 'rows.jsonl'))).toBe('DATASET_NOT_FOUND');
    expect(await codeOf(store.reports.manifest('none'))).toBe('REPORT_NOT_FOUND');
    await store.datasets.publish(publication('corpus'));
    expect(await codeOf(store.datasets.read('corpus', 'none.jsonl'))).toBe('FILE_NOT_FOUND');
    expect(await codeOf(store.datasets.read('corpus', '../corpus/rows.jsonl'))).toBe('FILE_NOT_FOUND');
  });

  it('notices a changed, a shortened and a missing file, read at once or streamed', async () => {
    await store.datasets.publish(publication('corpus'));
    const file = join(root, 'datasets', 'corpus', 'rows.jsonl');
    const drain = async (): Promise<void> => {
      for await (const chunk of await store.datasets.stream('corpus', 'rows.jsonl')) void chunk;
    };
    const damage = [
      () => writeFileSync(file, rows.replace('one', 'won')),
      () => truncateSync(file, 5),
      () => rmSync(file),
    ];
    for (const break_ of damage) {
      break_();
      expect(await codeOf(store.datasets.read('corpus', 'rows.jsonl'))).toBe('CHECKPOINT_CORRUPT');
      expect(await codeOf(drain())).toBe('CHECKPOINT_CORRUPT');
    }
  });

  it('never streams all bytes of a wrong file, even one of the right length', async () => {
    await store.datasets.publish(publication('corpus'));
    writeFileSync(join(root, 'datasets', 'corpus', 'rows.jsonl'), rows.replace('one', 'won'));
    let received = 0;
    const drain = async (): Promise<void> => {
      for await (const chunk of await store.datasets.stream('corpus', 'rows.jsonl'))
        received += (chunk as Buffer).length;
    };
    expect(await codeOf(drain())).toBe('CHECKPOINT_CORRUPT');
    expect(received).toBeLessThan(Buffer.byteLength(rows));
  });

  it('lists the good ones and reports a manifest that cannot be read', async () => {
    await store.datasets.publish(publication('good-one'));
    await store.datasets.publish(publication('bad-json'));
    await store.datasets.publish(publication('other-id'));
    const manifestOf = (id: string): string => join(root, 'datasets', id, 'manifest.json');
    writeFileSync(manifestOf('bad-json'), '{"format": 1,');
    writeFileSync(manifestOf('other-id'), readFileSync(manifestOf('good-one')));
    expect((await store.datasets.list()).map((manifest) => manifest.id)).toEqual(['good-one']);
    expect(reported.map((error) => error.code)).toEqual(['CHECKPOINT_CORRUPT', 'CHECKPOINT_CORRUPT']);
    expect(reported[0]?.message).toContain('bad-json');
    expect(await codeOf(store.datasets.manifest('bad-json'))).toBe('CHECKPOINT_CORRUPT');
  });
});

describe('tags', () => {
  it('change freely and leave the manifest alone', async () => {
    await store.datasets.publish(publication('corpus'));
    const before = readFileSync(join(root, 'datasets', 'corpus', 'manifest.json'), 'utf8');
    expect(await store.datasets.tags('corpus')).toEqual([]);
    await store.datasets.setTags('corpus', ['good', 'demo', 'good']);
    expect(await store.datasets.tags('corpus')).toEqual(['demo', 'good']);
    expect(readFileSync(join(root, 'datasets', 'corpus', 'manifest.json'), 'utf8')).toBe(before);
    expect(await codeOf(store.datasets.setTags('none', ['x']))).toBe('DATASET_NOT_FOUND');
  });
});

describe('fencing', () => {
  it('lets the latest attempt write and no earlier one', async () => {
    const first = await store.claim('job-a', 1);
    const ninth = await store.claim('job-a', 9);
    const tenth = await store.claim('job-a', 10);
    for (const fence of [first, ninth]) {
      expect(await codeOf(store.datasets.publish({ ...publication('job-a'), fence }))).toBe('STALE_ATTEMPT');
    }
    expect(await codeOf(store.claim('job-a', 9))).toBe('STALE_ATTEMPT');
    expect(existsSync(join(root, 'datasets'))).toBe(false);
    await store.datasets.publish({ ...publication('job-a'), fence: tenth });
    expect(await store.claim('job-b', 1)).toEqual({ jobId: 'job-b', attempt: 1 });
  });

  it('stops an attempt that is overtaken while it writes', async () => {
    const slow = await store.claim('job-a', 1);
    const { manifest, files } = publication('job-a');
    // Large enough that the claim lands between the first check of the fence and the commit.
    const publishing = store.datasets.publish({
      manifest,
      files: { ...files, big: new Uint8Array(32 << 20) },
      fence: slow,
    });
    const overtaken = codeOf(publishing);
    while (!existsSync(join(root, 'tmp')) || readdirSync(join(root, 'tmp')).length === 0)
      await new Promise(setImmediate);
    await store.claim('job-a', 2);
    expect(await overtaken).toBe('STALE_ATTEMPT');
    expect(await store.datasets.find('job-a')).toBeUndefined();
  });
});

it('probes whether it can be written to', async () => {
  await expect(store.probe()).resolves.toBeUndefined();
  const file = join(root, 'not-a-folder');
  writeFileSync(file, '');
  await expect(openStore({ root: file }).probe()).rejects.toThrow();
});
