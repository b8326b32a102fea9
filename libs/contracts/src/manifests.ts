import { z } from 'zod';
import { id, seed, stageName } from './ids';
import { datasetKinds } from './rows';

const file = z.object({ path: z.string(), bytes: z.int().min(0), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
export type ManifestFile = z.infer<typeof file>;

const common = {
  format: z.literal(1),
  id,
  createdAt: z.iso.datetime(),
  files: z.array(file).describe('Every file of the artefact but this manifest.'),
};

/** Where an artefact came from. */
export const lineage = z.object({
  stage: stageName,
  jobId: id,
  pipelineId: id.optional(),
  attempt: z.int().min(0),
  parents: z.array(z.object({ field: z.string(), id })).describe('Checkpoints it was made from, by the config field that named them.'),
  datasets: z.array(z.object({ field: z.string(), id, sha256: z.string() })),
  config: z.unknown().describe('The whole config, defaults included.'),
  seed,
});
export type Lineage = z.infer<typeof lineage>;

export const transformerConfig = z.object({
  vocabSize: z.int().positive(),
  contextLength: z.int().positive(),
  layers: z.int().positive(),
  heads: z.int().positive(),
  width: z.int().positive(),
});

/** Written last: a checkpoint is complete when its manifest is there. */
export const checkpointManifest = z
  .object({
    ...common,
    kind: z.enum(['policy', 'reward-model']),
    lineage,
    model: transformerConfig,
    tokenizerFingerprint: z.string().describe('SHA-256 of tokenizer.json.'),
    metrics: z.record(z.string(), z.number()),
    members: z
      .int()
      .min(2)
      .optional()
      .describe('Reward models of an ensemble: the first lies at the root, the others under `members/2`, `members/3` …'),
  })
  .meta({ id: 'CheckpointManifest' });
export type CheckpointManifest = z.infer<typeof checkpointManifest>;

/** The rows of a dataset, in its folder: JSON Lines, one normalised row a line. */
export const datasetFile = 'data.jsonl';

export const datasetManifest = z
  .object({
    ...common,
    kind: z.enum(datasetKinds),
    name: z.string(),
    rows: z.int().min(0),
    bytes: z.int().min(0),
    sha256: z.string().describe('Of the normalised rows.'),
    statistics: z.record(z.string(), z.number()),
    lineage: lineage.optional().describe('For a dataset that a job made.'),
  })
  .meta({ id: 'DatasetManifest' });
export type DatasetManifest = z.infer<typeof datasetManifest>;

export const reportManifest = z.object({ ...common, kind: z.literal('report'), lineage }).meta({ id: 'ReportManifest' });
export type ReportManifest = z.infer<typeof reportManifest>;
