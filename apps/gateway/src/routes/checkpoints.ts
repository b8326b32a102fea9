import {
  checkpointId,
  type CheckpointManifest,
  checkpointList,
  type CheckpointSummary,
  checkpointView,
  stageName,
  tag as tagSchema,
  tagsView,
} from '@pavlov/contracts';
import { z } from 'zod';
import { ancestorsOf } from '../artifacts/ancestors';
import { download, filePath } from '../artifacts/download';
import { json, route, type Route } from '../http/route';

const params = z.object({ id: checkpointId });
const tag = 'checkpoints';

function summarise({ files, lineage, ...manifest }: CheckpointManifest, tags: string[]): CheckpointSummary {
  const { stage, jobId, pipelineId } = lineage;
  return {
    ...manifest,
    stage,
    jobId,
    ...(pipelineId === undefined ? {} : { pipelineId }),
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    tags,
  };
}

const list = route({
  method: 'get',
  path: '/v1/checkpoints',
  tag,
  summary: 'List checkpoints, newest first',
  query: z.strictObject({
    stage: stageName.optional().describe('Only checkpoints that this stage made.'),
    kind: z.enum(['policy', 'reward-model']).optional().describe('Only checkpoints of this kind.'),
    tag: tagSchema.optional().describe('Only checkpoints with this tag.'),
  }),
  answers: { 200: { about: 'The checkpoints.', schema: checkpointList } },
  errors: ['UNKNOWN_STAGE'],
  handler: async ({ query }, { store }) => {
    const manifests = (await store.checkpoints.list()).filter(
      ({ kind, lineage }) => (query.kind ?? kind) === kind && (query.stage ?? lineage.stage) === lineage.stage,
    );
    const items = await Promise.all(
      manifests.map(async (manifest) => summarise(manifest, await store.checkpoints.tags(manifest.id))),
    );
    return json(200, {
      items: items.filter(({ tags }) => query.tag === undefined || tags.includes(query.tag)).reverse(),
    });
  },
});

const getOne = route({
  method: 'get',
  path: '/v1/checkpoints/{id}',
  tag,
  summary: 'Inspect a checkpoint: its manifest, tags, and all that it was made from',
  params,
  answers: { 200: { about: 'The checkpoint.', schema: checkpointView } },
  errors: ['CHECKPOINT_NOT_FOUND'],
  handler: async ({ params }, { store }) => {
    const manifest = await store.checkpoints.manifest(params.id);
    return json(200, {
      manifest,
      tags: await store.checkpoints.tags(params.id),
      ancestors: await ancestorsOf(store, manifest),
    });
  },
});

const setTags = route({
  method: 'put',
  path: '/v1/checkpoints/{id}/tags',
  tag,
  summary: 'Replace the tags of a checkpoint',
  params,
  body: { json: tagsView },
  answers: { 200: { about: 'The tags, sorted.', schema: tagsView } },
  errors: ['CHECKPOINT_NOT_FOUND'],
  handler: async ({ params, body }, { store }) => {
    await store.checkpoints.setTags(params.id, body.tags);
    return json(200, { tags: await store.checkpoints.tags(params.id) });
  },
});

const getFile = route({
  method: 'get',
  path: '/v1/checkpoints/{id}/files/{path+}',
  tag,
  summary: 'Download a file of a checkpoint',
  description:
    'A checkpoint is a Hugging Face model directory: fetch every file of its manifest into one folder and open that.',
  params: params.extend({ path: filePath }),
  answers: { 200: { about: 'The bytes.', mediaType: 'application/octet-stream' } },
  errors: ['CHECKPOINT_NOT_FOUND', 'FILE_NOT_FOUND'],
  handler: async ({ params }, { store }) => download(store.checkpoints, params),
});

export const checkpointRoutes: readonly Route[] = [list, getOne, setTags, getFile];
