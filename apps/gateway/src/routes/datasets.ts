import {
  type ErrorCode,
  datasetCheck,
  datasetId,
  datasetKinds,
  datasetList,
  datasetManifest,
  datasetUpload,
} from '@pavlov/contracts';
import { importDataset } from '@pavlov/datasets';
import { z } from 'zod';
import { ingest } from '../artifacts/ingest';
import { json, route, type Route } from '../http/route';

const params = z.object({ id: datasetId });
const tag = 'datasets';

/** The query says what a raw upload is; forms and JSON say it themselves. */
const query = datasetUpload.partial();
const ways =
  'The body is one of: rows as `application/x-ndjson`; one text as `text/plain` or `text/markdown`; a `multipart/form-data` form with ' +
  'the fields `kind`, `name` and, if wanted, `dedupePrefix`, and any number of .txt, .md or .jsonl `files`; or JSON that names a file or folder on the server. ' +
  'A raw body takes `kind`, `name` and `dedupePrefix` in the query.';
const errors: readonly ErrorCode[] = [
  'DATASET_EMPTY',
  'DATASET_INVALID_ROW',
  'CONFIG_CONFLICT',
  'FORBIDDEN_PATH',
  'FILE_NOT_FOUND',
];

const upload = route({
  method: 'post',
  path: '/v1/datasets',
  tag,
  summary: 'Upload a dataset',
  description: `${ways} The id is made of the name and the rows: the same upload again gives the same dataset.`,
  query,
  body: { upload: true },
  answers: {
    200: { about: 'The dataset; it was there already.', schema: datasetManifest },
    201: { about: 'The dataset, stored.', schema: datasetManifest },
  },
  errors,
  handler: async ({ body }, { store }) => {
    const { manifest, isNew } = await ingest(store, body);
    return json(isNew ? 201 : 200, manifest);
  },
});

const validate = route({
  method: 'post',
  path: '/v1/datasets/validate',
  tag,
  summary: 'Check a dataset and store nothing',
  description: `${ways} What is wrong is told as an upload would tell it, with the line.`,
  query,
  body: { upload: true },
  answers: { 200: { about: 'What the dataset would be.', schema: datasetCheck } },
  errors,
  handler: async ({ body: { kind, files, dedupePrefix } }) =>
    json(200, { kind, ...(await importDataset({ kind, files, dedupePrefix })) }),
});

const list = route({
  method: 'get',
  path: '/v1/datasets',
  tag,
  summary: 'List datasets, newest first',
  query: z.strictObject({ kind: z.enum(datasetKinds).optional().describe('Only datasets of this kind.') }),
  answers: { 200: { about: 'The datasets.', schema: datasetList } },
  handler: async ({ query }, { store }) => {
    const manifests = await store.datasets.list();
    return json(200, { items: manifests.filter(({ kind }) => (query.kind ?? kind) === kind).reverse() });
  },
});

const getOne = route({
  method: 'get',
  path: '/v1/datasets/{id}',
  tag,
  summary: 'Inspect a dataset',
  params,
  answers: { 200: { about: 'Its manifest.', schema: datasetManifest } },
  errors: ['DATASET_NOT_FOUND'],
  handler: async ({ params }, { store }) => json(200, await store.datasets.manifest(params.id)),
});

export const datasetRoutes: readonly Route[] = [upload, validate, list, getOne];
