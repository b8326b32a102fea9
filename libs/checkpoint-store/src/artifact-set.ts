import { type ErrorCode, id as idSchema, type ManifestFile, PavlovError } from '@pavlov/contracts';
import { createHash } from 'node:crypto';
import { pipeline, type Readable, Transform } from 'node:stream';
import { z } from 'zod';
import { type BlobStore, type Bytes } from './blob-store';
import { assertCurrent, type Fence } from './fence';
import { parseId } from './parse-id';

const MANIFEST = 'manifest.json';
const TAGS = 'tags.json';

/** What every manifest has. */
interface AnyManifest {
  readonly format: 1;
  readonly id: string;
  readonly createdAt: string;
  readonly files: ManifestFile[];
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export interface Publication<M extends AnyManifest> {
  readonly manifest: DistributiveOmit<M, 'files' | 'format' | 'createdAt'>;
  /** Bytes by path, e.g. `model.safetensors`. */
  readonly files: Readonly<Record<string, Bytes>>;
  /** The attempt that writes; only uploads go without. */
  readonly fence?: Fence;
}

/** Published artefacts of one sort. What is published never changes. */
export interface ArtifactSet<M extends AnyManifest> {
  /**
   * Publishes an artefact: all of it becomes visible at once, and durable, or none of it. Publishing the same files
   * under the same id again gives the manifest that is there.
   *
   * @throws PavlovError ALREADY_PUBLISHED for other files under a published id, STALE_ATTEMPT, INVALID_REQUEST.
   */
  publish(publication: Publication<M>): Promise<M>;
  /** @throws PavlovError CHECKPOINT_NOT_FOUND, DATASET_NOT_FOUND or REPORT_NOT_FOUND; CHECKPOINT_CORRUPT. */
  manifest(id: string): Promise<M>;
  find(id: string): Promise<M | undefined>;
  /** Manifests, oldest first. One that cannot be read is left out and reported to `onCorrupt` of the store. */
  list(): Promise<M[]>;
  /** A whole file, its SHA-256 checked. @throws PavlovError FILE_NOT_FOUND, CHECKPOINT_CORRUPT. */
  read(id: string, path: string): Promise<Buffer>;
  /** The same as a stream, which ends with CHECKPOINT_CORRUPT when the bytes turn out to be wrong. */
  stream(id: string, path: string): Promise<Readable>;
  tags(id: string): Promise<string[]>;
  /** Replaces the tags. They lie beside the manifest, never in it. */
  setTags(id: string, tags: readonly string[]): Promise<void>;
}

export interface ArtifactSetOptions<M> {
  readonly blobs: BlobStore;
  /** Folder of the set, e.g. `checkpoints`. */
  readonly folder: string;
  /** What an artefact is called in messages, e.g. `checkpoint`. */
  readonly noun: string;
  readonly schema: z.ZodType<M>;
  readonly notFound: ErrorCode;
  readonly onCorrupt: (error: PavlovError) => void;
}

export function createArtifactSet<M extends AnyManifest>(options: ArtifactSetOptions<M>): ArtifactSet<M> {
  const { blobs, folder, noun, schema, notFound, onCorrupt } = options;
  const keyOf = (id: string, path?: string): string =>
    [folder, parseId(id), ...(path === undefined ? [] : [path])].join('/');

  async function find(id: string): Promise<M | undefined> {
    const bytes = await blobs.get(keyOf(id, MANIFEST));
    return bytes && parseManifest(bytes, id);
  }

  function parseManifest(bytes: Buffer, id: string): M {
    try {
      const manifest = schema.parse(JSON.parse(bytes.toString('utf8')));
      if (manifest.id !== id) throw new Error(`it is the manifest of “${manifest.id}”`);
      return manifest;
    } catch (cause) {
      const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
      throw corrupt(`The manifest of the ${noun} ${id} cannot be read: ${reason}`, cause);
    }
  }

  async function manifest(id: string): Promise<M> {
    const found = await find(id);
    if (found) return found;
    throw new PavlovError({
      code: notFound,
      message: `There is no ${noun} “${id}”.`,
      hint: `List the ${noun}s to see which there are.`,
    });
  }

  async function fileOf(id: string, path: string): Promise<ManifestFile> {
    const file = (await manifest(id)).files.find((entry) => entry.path === path);
    if (file) return file;
    throw new PavlovError({
      code: 'FILE_NOT_FOUND',
      message: `The ${noun} ${id} has no file “${path}”.`,
      hint: 'Its manifest lists the files it has.',
    });
  }

  const corruptFile = (id: string, path: string): PavlovError =>
    corrupt(`The file “${path}” of the ${noun} ${id} is missing or not the one that was published.`);

  return {
    manifest,
    find,

    async publish({ manifest: given, files, fence }) {
      const id = parseId(given.id);
      const entries = Object.entries(files).map(([path, data]): ManifestFile => describe(path, data));
      const complete = schema.parse({ ...given, format: 1, createdAt: new Date().toISOString(), files: entries });
      const check = async (): Promise<void> => (fence ? assertCurrent(blobs, fence) : undefined);
      await check();
      if ((await blobs.head(keyOf(id, MANIFEST))) === undefined) {
        const tree = { ...files, [MANIFEST]: `${JSON.stringify(complete, null, 2)}\n` };
        if (await blobs.createTree(keyOf(id), { files: tree, beforeCommit: check })) return complete;
      }
      const existing = await manifest(id);
      if (sameFiles(existing.files, entries)) return existing;
      throw new PavlovError({
        code: 'ALREADY_PUBLISHED',
        message: `The ${noun} ${id} is published with other content, and what is published never changes.`,
        hint: 'Publish under another id.',
      });
    },

    async list() {
      const manifests: M[] = [];
      for (const name of await blobs.list(folder)) {
        if (!idSchema.safeParse(name).success) continue;
        try {
          const found = await find(name);
          if (found) manifests.push(found);
        } catch (error) {
          onCorrupt(PavlovError.from(error));
        }
      }
      return manifests.sort((a, b) => compare(a.createdAt, b.createdAt) || compare(a.id, b.id));
    },

    async read(id, path) {
      const file = await fileOf(id, path);
      const bytes = await blobs.get(keyOf(id, path));
      if (bytes === undefined || sha256(bytes) !== file.sha256) throw corruptFile(id, path);
      return bytes;
    },

    async stream(id, path) {
      const file = await fileOf(id, path);
      const source = await blobs.getStream(keyOf(id, path));
      if (source === undefined) throw corruptFile(id, path);
      const checked = hashing((digest) => (digest === file.sha256 ? undefined : corruptFile(id, path)));
      return pipeline(source, checked, () => undefined); // an error of the source destroys, and so reaches, the result
    },

    async tags(id) {
      await manifest(id);
      const bytes = await blobs.get(keyOf(id, TAGS));
      return bytes === undefined ? [] : z.array(z.string()).parse(JSON.parse(bytes.toString('utf8')));
    },

    async setTags(id, tags) {
      await manifest(id);
      await blobs.put(keyOf(id, TAGS), JSON.stringify([...new Set(tags)].sort()));
    },
  };
}

function describe(path: string, data: Bytes): ManifestFile {
  const safe = /^(?!\.)[\w.-]+(\/(?!\.)[\w.-]+)*$/.test(path) && ![MANIFEST, TAGS].includes(path);
  if (!safe) {
    throw new PavlovError({
      code: 'INVALID_REQUEST',
      message: `“${path}” cannot be the name of a published file.`,
      hint: `Use letters, digits, “.”, “-”, “_”, and “/” between folders. “${MANIFEST}” and “${TAGS}” are the store’s own.`,
      field: 'files',
    });
  }
  return { path, bytes: Buffer.byteLength(data), sha256: sha256(data) };
}

function sameFiles(a: readonly ManifestFile[], b: readonly ManifestFile[]): boolean {
  const key = (files: readonly ManifestFile[]): string =>
    files
      .map((file) => `${file.path} ${file.sha256}`)
      .sort()
      .join('\n');
  return key(a) === key(b);
}

/**
 * Passes bytes on, the last chunk only after the verdict: whoever knows how many bytes to expect must not take wrong ones
 * for complete.
 */
function hashing(verdict: (digest: string) => Error | undefined): Transform {
  const hash = createHash('sha256');
  let held: Buffer | undefined;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      if (held) this.push(held);
      held = chunk;
      done();
    },
    flush(done) {
      const error = verdict(hash.digest('hex'));
      done(error, error ? undefined : held);
    },
  });
}

const sha256 = (data: Bytes): string => createHash('sha256').update(data).digest('hex');

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const corrupt = (message: string, cause?: unknown): PavlovError =>
  new PavlovError(
    { code: 'CHECKPOINT_CORRUPT', message, hint: 'Restore it from a backup, or make it again under another id.' },
    { cause },
  );
