import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blobStoreContract } from './blob-store.contract';
import { openDirectoryBlobStore } from './directory-blob-store';

const roots: string[] = [];
const newRoot = (): string => {
  roots.push(mkdtempSync(join(tmpdir(), 'pavlov-blobs-')));
  return roots.at(-1)!;
};
afterAll(() => roots.forEach((root) => rmSync(root, { recursive: true })));

describe('a blob store on a directory', () => {
  blobStoreContract(async () => openDirectoryBlobStore(newRoot()));

  it('leaves no temporary file behind, whether a write succeeds or not', async () => {
    const root = newRoot();
    const blobs = openDirectoryBlobStore(root);
    await blobs.put('key', 'x');
    await blobs.create('key', 'y');
    await blobs.createTree('tree', { files: { file: 'x' } });
    await blobs.createTree('tree', { files: { file: 'y' } });
    await expect(blobs.createTree('clash', { files: { a: 'file', 'a/b': 'and folder' } })).rejects.toThrow();
    expect(readdirSync(join(root, 'tmp'))).toEqual([]);
    expect(readdirSync(root).sort()).toEqual(['key', 'tmp', 'tree']);
  });

  it('removes what dead writers left a day ago, and not what live ones are writing', async () => {
    const root = newRoot();
    for (const name of ['old', 'new']) {
      mkdirSync(join(root, 'tmp', name), { recursive: true });
      writeFileSync(join(root, 'tmp', name, 'half'), 'x');
    }
    const yesterday = Date.now() / 1000 - 25 * 3600;
    utimesSync(join(root, 'tmp', 'old'), yesterday, yesterday);
    await openDirectoryBlobStore(root).createTree('tree', { files: { file: 'x' } });
    expect(readdirSync(join(root, 'tmp'))).toEqual(['new']);
  });
});
