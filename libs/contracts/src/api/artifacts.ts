import { z } from 'zod';
import { checkpointId, id, seed, stageName, stages } from '../ids';
import { checkpointManifest, datasetManifest, reportManifest } from '../manifests';
import { evaluationReport } from '../report';
import { datasetKinds, message } from '../rows';
import { positiveInt, sampling, samplingWeights } from '../stages/common';
import { listOf } from './common';

/** What the API says about datasets, checkpoints and reports, and completions. */

const kind = z.enum(datasetKinds).describe('What a row is.');
const datasetName = z.string().min(1).max(80).describe('For people; the id begins with it.');
const dedupePrefix =
  'Drops rows whose prompt shares its first so many characters with an earlier row’s; the statistic `droppedByPrefix` counts them. For `prompts` and `demonstrations`.';

/** How an upload says what it is: in the query, or as the fields of a multipart form. */
export const datasetUpload = z.strictObject({
  kind,
  name: datasetName,
  dedupePrefix: z.coerce.number().int().positive().optional().describe(dedupePrefix),
});

export const datasetSource = z
  .strictObject({
    kind,
    name: datasetName,
    path: z.string().min(1).describe('A file or folder on the server, in one of the folders that it allows.'),
    dedupePrefix: positiveInt.optional().describe(dedupePrefix),
  })
  .meta({ id: 'DatasetSource', description: 'A dataset from files that lie on the server.' });
export type DatasetSource = z.infer<typeof datasetSource>;

export const datasetCheck = datasetManifest
  .pick({ kind: true, rows: true, bytes: true, sha256: true, statistics: true })
  .meta({ id: 'DatasetCheck', description: 'What a dataset would be. Nothing is stored.' });
export const datasetList = listOf(datasetManifest).meta({ id: 'DatasetList' });

export const tag = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,59}$/, 'a tag has 1–60 characters: small letters, digits, “.”, “_” and “-”');
const tags = z.array(tag).max(32);
export const tagsView = z.strictObject({ tags }).meta({ id: 'Tags' });

export const checkpointSummary = checkpointManifest
  .omit({ files: true, lineage: true })
  .extend({ stage: stageName, jobId: id, pipelineId: id.optional(), bytes: z.int().min(0), tags })
  .meta({ id: 'CheckpointSummary' });
export type CheckpointSummary = z.infer<typeof checkpointSummary>;
export const checkpointList = listOf(checkpointSummary).meta({ id: 'CheckpointList' });

const ancestor = z.object({
  id,
  kind: z.string(),
  stage: stageName.optional().describe('Absent for a dataset that was uploaded.'),
  missing: z.boolean().describe('Whether it is gone from the store.'),
  usedBy: z
    .array(z.object({ id, field: z.string() }))
    .describe('Which artefacts were made from it, by the config field that named it.'),
});
export type Ancestor = z.infer<typeof ancestor>;

export const checkpointView = z
  .object({
    manifest: checkpointManifest,
    tags,
    ancestors: z.array(ancestor).describe('Everything it was made from, nearest first.'),
  })
  .meta({ id: 'Checkpoint' });
export type CheckpointView = z.infer<typeof checkpointView>;

export const reportView = z.object({ manifest: reportManifest, report: evaluationReport }).meta({ id: 'Report' });

const completionOptions = {
  checkpoint: checkpointId,
  ...sampling,
  temperature: sampling.temperature.default(0.7),
  maxNewTokens: sampling.maxNewTokens.default(32),
  weights: samplingWeights,
  n: z.int().min(1).max(16).default(1).describe('How many answers.'),
  seed: seed.default(0),
};

export const completionRequest = z
  .strictObject({
    prompt: z
      .string()
      .min(1)
      .optional()
      .describe('What the user says; the same as `messages` with one message of the user.'),
    messages: z
      .array(message)
      .min(1)
      .max(64)
      .optional()
      .describe('The conversation so far. Give either this or `prompt`.'),
    ...completionOptions,
  })
  .superRefine((request, context) => {
    if ((request.prompt === undefined) !== (request.messages === undefined)) return;
    context.addIssue({
      code: 'custom',
      path: [request.prompt === undefined ? 'prompt' : 'messages'],
      message: 'give either `prompt` or `messages`',
    });
  })
  .meta({
    id: 'CompletionRequest',
    examples: [{ checkpoint: 'ppo-46x4p67wg3rn', prompt: 'What is the colour of the sky?', temperature: 0 }],
  });
export type CompletionRequest = z.infer<typeof completionRequest>;

export const completion = z
  .object({
    checkpoint: checkpointId,
    choices: z.array(
      z.object({
        text: z.string(),
        finish: z
          .enum(['stop', 'length'])
          .describe('`stop`: the model ended its answer; `length`: maxNewTokens or the context cut it.'),
        tokens: z.int().min(0),
        logprob: z
          .number()
          .describe(
            'Sum of the log-probabilities of the tokens at the sampling temperature, with the weights asked for, in nats.',
          ),
      }),
    ),
    promptTokens: z.int().min(0),
    seconds: z.number().min(0).describe('Time of the model, without the wait in the queue.'),
  })
  .meta({ id: 'Completion' });
export type Completion = z.infer<typeof completion>;

/** The queue that the inference service works on, and what travels through it. */
export const inferenceQueue = 'inference';
export const completionPayload = z.object({
  request: completionRequest,
  deadline: z.int().positive().describe('Milliseconds since 1970 after which nobody waits for the answer.'),
});
export type CompletionPayload = z.infer<typeof completionPayload>;

export const stageCatalogue = z
  .object({
    items: z.array(
      z.object({
        stage: stageName,
        makes: z.string().describe('Kind of the artefact that a job of this stage leaves in the store.'),
        links: z
          .record(z.string(), z.enum(stages))
          .describe('Fields that a pipeline fills in, and the stage whose output goes there.'),
        schema: z
          .record(z.string(), z.unknown())
          .describe('JSON Schema of the config: types, bounds, defaults and a sentence on each field.'),
        defaults: z
          .record(z.string(), z.unknown())
          .describe('The fields that may be left out, with what they then are.'),
      }),
    ),
  })
  .meta({ id: 'StageCatalogue' });
export type StageCatalogue = z.infer<typeof stageCatalogue>;

export const rewardFunctionInfo = z.object({
  name: z.string(),
  description: z.string().optional().describe('What it rewards.'),
});
export type RewardFunctionInfo = z.infer<typeof rewardFunctionInfo>;
export const rewardFunctionList = listOf(rewardFunctionInfo).meta({ id: 'RewardFunctionList' });
