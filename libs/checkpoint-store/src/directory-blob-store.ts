import { randomUUID } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { link, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type BlobStore, type Bytes, type Tree } from './blob-store';

/** Leftovers of writers that died are removed once they are this old. */
const STALE_STAGING_MS = 24 * 60 * 60 * 1000;

/**
 * A blob store on a directory. Everything is first written and synced under `tmp/`, on the same file system, and then
 * moved into place by one atomic call, whose directory is synced too. So a crash leaves at worst a file under `tmp/`.
 */
export function openDirectoryBlobStore(root: string): BlobStore {
  const staging = join(root, 'tmp');
  const at = (key: string): string => join(root, key);

  async function stage(data: Bytes): Promise<string> {
    const path = join(staging, randomUUID());
    await mkdir(staging, { recursive: true });
    await writeDurably(path, data);
    return path;
  }

  return {
    async put(key, data) {
      const staged = await stage(data);
      await makeDirectory(dirname(at(key)));
      await rename(staged, at(key));
      await syncDirectory(dirname(at(key)));
    },

    async create(key, data) {
      const staged = await stage(data);
      await makeDirectory(dirname(at(key)));
      try {
        await link(staged, at(key)); // unlike rename, it refuses to replace
      } catch (error) {
        if (hasCode(error, 'EEXIST')) return false;
        throw error;
      } finally {
        await rm(staged, { force: true });
      }
      await syncDirectory(dirname(at(key)));
      return true;
    },

    async createTree(prefix, tree) {
      await removeStale(staging);
      const staged = join(staging, randomUUID());
      try {
        await writeTree(staged, tree.files);
        await makeDirectory(dirname(at(prefix)));
        await tree.beforeCommit?.();
        if (!(await renameUnlessFilled(staged, at(prefix)))) return false;
      } finally {
        await rm(staged, { recursive: true, force: true });
      }
      await syncDirectory(dirname(at(prefix)));
      return true;
    },

    get: (key) => unlessMissing(readFile(at(key))),

    async getStream(key) {
      return (await fileStats(at(key))) && createReadStream(at(key));
    },

    async head(key) {
      const stats = await fileStats(at(key));
      return stats && { bytes: stats.size };
    },

    async list(prefix) {
      return ((await unlessMissing(readdir(at(prefix)))) ?? []).sort();
    },
  };
}

/** rename(2) replaces an empty directory, and refuses one that holds anything. */
async function renameUnlessFilled(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOTEMPTY') || hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

async function writeTree(root: string, files: Tree['files']): Promise<void> {
  const directories = new Set([root]);
  for (const [path, data] of Object.entries(files)) {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeDurably(file, data);
    for (let folder = dirname(file); folder !== root; folder = dirname(folder)) directories.add(folder);
  }
  for (const directory of directories) await syncDirectory(directory);
}

async function writeDurably(path: string, data: Bytes): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(data);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes a directory; a new one outlasts a power cut only if the entry in its parent is synced. */
async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let folder = path; folder !== dirname(first); folder = dirname(folder)) await syncDirectory(dirname(folder));
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function removeStale(staging: string): Promise<void> {
  for (const name of (await unlessMissing(readdir(staging))) ?? []) {
    const stats = await unlessMissing(stat(join(staging, name)));
    if (stats && Date.now() - stats.mtimeMs > STALE_STAGING_MS)
      await rm(join(staging, name), { recursive: true, force: true });
  }
}

async function fileStats(path: string): Promise<Stats | undefined> {
  const stats = await unlessMissing(stat(path));
  return stats?.isFile() ? stats : undefined;
}

async function unlessMissing<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === code;
}
