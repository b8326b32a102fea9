import { type DatasetKind, datasetSource, datasetUpload, PavlovError } from '@pavlov/contracts';
import { type Request, type Response } from 'express';
import multer from 'multer';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import { resolveAllowed } from './allowed-paths';
import { parse } from './bad-request';
import { readJson, unsupportedType } from './json-body';

/** Where the rows of a dataset come from: files and folders on this machine. */
export interface Upload {
  readonly kind: DatasetKind;
  readonly name: string;
  /** Each with the name by which its sender knows it. */
  readonly files: readonly { readonly name: string; readonly path: string }[];
  /** See `importDataset`. */
  readonly dedupePrefix?: number;
}

export interface UploadLimits {
  /** Of one request. */
  readonly maxBytes: number;
  readonly maxFiles: number;
  /** Folders whose files may be named by path. */
  readonly allowedRoots: readonly string[];
}

interface Exchange {
  readonly request: Request;
  readonly response: Response;
  readonly limits: UploadLimits;
}

/** Media types of a raw upload, with the file ending that says the same. */
const rawTypes: Readonly<Record<string, string>> = {
  'application/x-ndjson': 'jsonl',
  'text/plain': 'txt',
  'text/markdown': 'md',
};

/** The bodies of an upload, by media type. */
export const uploadSchemas: Readonly<Record<string, z.ZodType>> = {
  ...Object.fromEntries(Object.keys(rawTypes).map((type) => [type, z.string()])),
  'multipart/form-data': datasetUpload.extend({ files: z.array(z.file()).min(1) }),
  'application/json': datasetSource,
};

const tooLarge = (limit: number): PavlovError =>
  new PavlovError({
    code: 'PAYLOAD_TOO_LARGE',
    message: `The upload is larger than ${limit} bytes.`,
    hint: 'Put the files on the server and name their path, or raise PAVLOV_MAX_UPLOAD_BYTES of the gateway.',
  });

function counting(limit: number): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      done(bytes > limit ? tooLarge(limit) : null, chunk);
    },
  });
}

async function receiveRaw(
  { request, limits }: Exchange,
  { folder, ending }: { folder: string; ending: string },
): Promise<Upload> {
  const about = parse(datasetUpload, request.query);
  const path = join(folder, `upload.${ending}`);
  await pipeline(request, counting(limits.maxBytes), createWriteStream(path));
  return { ...about, files: [{ name: `the uploaded ${ending} file`, path }] };
}

async function receiveForm({ request, response, limits }: Exchange, folder: string): Promise<Upload> {
  const receive = multer({
    dest: folder,
    defParamCharset: 'utf8',
    limits: { fileSize: limits.maxBytes, files: limits.maxFiles, fields: 10, fieldSize: 1000 },
  }).array('files');
  await promisify<Request, Response>(receive)(request, response);
  const about = parse(datasetUpload, { ...(request.body as Record<string, unknown>) });
  const files = (request.files ?? []) as Express.Multer.File[];
  if (files.reduce((bytes, file) => bytes + file.size, 0) > limits.maxBytes) throw tooLarge(limits.maxBytes);
  if (files.length === 0) {
    throw new PavlovError({
      code: 'INVALID_REQUEST',
      message: 'The form holds no files.',
      hint: 'Add at least one, under the name `files`.',
      field: 'files',
    });
  }
  return { ...about, files: files.map((file) => ({ name: file.originalname, path: file.path })) };
}

/** What the client sends is put into the folder, unless it names a path on the server. */
async function receive(exchange: Exchange, folder: string): Promise<Upload> {
  const { request, response, limits } = exchange;
  const type = request.headers['content-type']?.split(';')[0].trim().toLowerCase() ?? '';
  if (Object.hasOwn(rawTypes, type)) return receiveRaw(exchange, { folder, ending: rawTypes[type] });
  if (type === 'multipart/form-data') return receiveForm(exchange, folder);
  if (type !== 'application/json') throw unsupportedType(request, Object.keys(uploadSchemas));
  const { path, ...about } = parse(datasetSource, await readJson(request, response));
  return { ...about, files: [{ name: path, path: await resolveAllowed(path, limits.allowedRoots) }] };
}

/** Receives an upload into a folder of its own, lets `use` have it, and removes the folder, whatever happens. */
export async function withUpload<T>(exchange: Exchange, use: (upload: Upload) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), `pavlov-upload-${process.pid}-`));
  try {
    return await use(await receive(exchange, folder));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
