import { type Store } from '@pavlov/checkpoint-store';
import { basename, extname } from 'node:path';
import { z } from 'zod';
import { type Reply } from '../http/route';

export const filePath = z.string().min(1).max(300).describe('Path of the file, as the manifest lists it.');

const types: Readonly<Record<string, string>> = {
  '.json': 'application/json',
  '.jsonl': 'application/x-ndjson',
  '.md': 'text/markdown; charset=utf-8',
  '.txt': 'text/plain; charset=utf-8',
};

type ArtifactSet = Pick<Store['checkpoints'], 'stream'> & {
  manifest(id: string): Promise<{ files: readonly { path: string; bytes: number; sha256: string }[] }>;
};

/** A file of an artefact, as a download. What is published never changes, so it may be kept for ever. */
export async function download(artifacts: ArtifactSet, { id, path }: { id: string; path: string }): Promise<Reply> {
  const stream = await artifacts.stream(id, path);
  const file = (await artifacts.manifest(id)).files.find((entry) => entry.path === path);
  return {
    status: 200,
    stream,
    headers: {
      'Content-Type': types[extname(path)] ?? 'application/octet-stream',
      'Content-Disposition': `attachment; filename="${basename(path)}"`,
      'Cache-Control': 'private, max-age=31536000, immutable',
      ...(file === undefined ? {} : { 'Content-Length': String(file.bytes), ETag: `"${file.sha256}"` }),
    },
  };
}
