import { z } from 'zod';
import { id, priority, seed, stageName, type StageName } from '../ids';
import { errorBody } from '../errors';
import { jobEvent, jobProgress, jobResult, jobState, logLevels } from '../jobs';
import { evaluationConfig } from '../stages/evaluation';
import { feedbackConfig } from '../stages/feedback';
import { ppoConfig } from '../stages/ppo';
import { pretrainingConfig } from '../stages/pretraining';
import { rewardModelingConfig } from '../stages/reward-modeling';
import { sftConfig } from '../stages/sft';
import { pageOf } from './common';

/** Requests that make jobs, and what the API says about jobs and pipelines. */

const name = z.string().min(1).max(120).optional().describe('For people; Pavlov makes nothing of it.');
const submission = { name, seed: seed.default(0), priority: priority.default(0) };

const jobOf = <S extends StageName, C extends z.ZodType>(stage: S, config: C) =>
  z.strictObject({ stage: z.literal(stage), config, ...submission });

export const jobRequest = z
  .discriminatedUnion('stage', [
    jobOf('pretraining', pretrainingConfig),
    jobOf('sft', sftConfig),
    jobOf('feedback', feedbackConfig),
    jobOf('reward-modeling', rewardModelingConfig),
    jobOf('ppo', ppoConfig),
    jobOf('evaluation', evaluationConfig),
  ])
  .meta({
    id: 'JobRequest',
    description: 'One stage, run from artefacts that exist.',
    examples: [
      {
        stage: 'sft',
        name: 'politer',
        seed: 1,
        config: { policy: 'pretraining-46x4p67wg3rn', dataset: 'my-demonstrations-f33cb42943', epochs: 4 },
      },
    ],
  });
export type JobRequest = z.infer<typeof jobRequest>;

/**
 * What a pipeline fills in by itself: a stage’s field and the stage of the same pipeline whose output goes there.
 * An id that the request gives always wins.
 */
export const pipelineLinks = {
  pretraining: {},
  sft: { policy: 'pretraining' },
  feedback: { policy: 'sft' },
  'reward-modeling': { policy: 'sft', rankings: 'feedback' },
  ppo: { policy: 'sft', reward: 'reward-modeling' },
  evaluation: { reference: 'sft', reward: 'reward-modeling' },
} as const satisfies Record<StageName, Readonly<Record<string, StageName>>>;

/**
 * The stages that `rounds` repeats. Within a round they are linked as above; besides, from the second round on,
 * feedback's policy is the last round's PPO policy, and reward modeling's `earlierRankings` are those that the request
 * gives and then those of all earlier rounds. Evaluation reads the last round's reward model.
 */
export const roundStages = ['feedback', 'reward-modeling', 'ppo'] as const satisfies readonly StageName[];

/**
 * Policies that a pipeline's evaluation compares unless told otherwise: a name in the report and the stage it is from.
 * Of several rounds, `ppo` is the last, and the others are `ppo-round-1`, `ppo-round-2` …
 */
export const pipelinePolicies = { pretrained: 'pretraining', sft: 'sft', ppo: 'ppo' } as const satisfies Record<
  string,
  StageName
>;

type Shape = Readonly<Record<string, z.ZodType>>;
type Optionally<T extends Shape, K> = { [P in keyof T]: P extends K ? z.ZodOptional<T[P]> : T[P] };

/** A config in which some fields may be left to the pipeline. Its rules across fields are checked once the links are filled in. */
function linked<T extends Shape, K extends keyof T & string>(shape: T, fields: readonly K[]) {
  const optional = Object.fromEntries(fields.map((field) => [field, z.optional(shape[field])]));
  return z.strictObject({ ...shape, ...optional } as Optionally<T, K>).optional();
}

export const pipelineRequest = z
  .strictObject({
    ...submission,
    rounds: z
      .int()
      .min(1)
      .max(20)
      .default(1)
      .describe(
        'How often feedback, reward-modeling and ppo are run: in each further round the last round’s policy answers, the new rankings join the old ones, a new reward model learns them all, and PPO starts again from the SFT policy. Round r has the seed `seed` + r − 1, and its jobs’ ids end in `-r<r>` from the second on.',
      ),
    stages: z
      .strictObject({
        pretraining: pretrainingConfig.optional(),
        sft: linked(sftConfig.shape, ['policy']),
        feedback: linked(feedbackConfig.shape, ['policy']),
        'reward-modeling': linked(rewardModelingConfig.shape, ['policy', 'rankings']),
        ppo: linked(ppoConfig.shape, ['policy', 'reward']),
        evaluation: linked(evaluationConfig.shape, ['policies']),
      })
      .refine(
        (stages) => Object.values(stages).some((config) => config !== undefined),
        'a pipeline needs at least one stage',
      )
      .describe(
        'Config of each stage to run, in the order of the stages. What a stage left out would have made must be given by id.',
      ),
  })
  .meta({
    id: 'PipelineRequest',
    description: 'Several stages in a row: each gets what the earlier ones make.',
    examples: [
      {
        name: 'from text to an aligned model',
        seed: 1,
        stages: {
          pretraining: { dataset: 'my-corpus-73af7aa25a', steps: 600 },
          sft: { dataset: 'my-demonstrations-f33cb42943' },
          feedback: { labeller: { kind: 'import', dataset: 'my-rankings-0c1d2e3f4a' } },
          'reward-modeling': { demonstrations: 'my-demonstrations-f33cb42943' },
          ppo: { prompts: 'my-prompts-b39c9f2d4f' },
          evaluation: { prompts: 'my-test-prompts-5566778899', winRate: { challenger: 'ppo', baseline: 'sft' } },
        },
      },
      {
        name: 'three rounds from an SFT policy',
        rounds: 3,
        stages: {
          feedback: {
            labeller: { kind: 'simulated', oracle: 'demo-world' },
            policy: 'sft-46x4p67wg3rn',
            prompts: 'demo-prompts-b39c9f2d4f',
          },
          'reward-modeling': { policy: 'sft-46x4p67wg3rn' },
          ppo: { policy: 'sft-46x4p67wg3rn', prompts: 'demo-prompts-b39c9f2d4f' },
        },
      },
    ],
  });
export type PipelineRequest = z.infer<typeof pipelineRequest>;

export const priorityRequest = z.strictObject({ priority }).meta({ id: 'PriorityRequest' });

const moment = z.iso.datetime().meta({ examples: ['2026-11-23T03:14:47.184Z'] });

export const jobView = z
  .object({
    id,
    stage: stageName,
    name: z.string().optional(),
    pipelineId: id.optional(),
    round: z.int().positive().optional().describe('Which of the pipeline’s rounds the job belongs to, from 1.'),
    state: jobState,
    seed,
    priority,
    attempts: z.int().min(0).describe('How often the job has been started.'),
    createdAt: moment,
    startedAt: moment.optional(),
    finishedAt: moment.optional(),
    progress: jobProgress.optional(),
    config: z.record(z.string(), z.unknown()).describe('The whole config, defaults included.'),
    lineage: z
      .object({
        inputs: z.array(
          z.object({
            field: z.string(),
            id,
            kind: z.string(),
            job: id.optional().describe('The job that makes it, where a job does.'),
          }),
        ),
        output: z.object({ id, kind: z.string() }).describe('What the job leaves in the store; it bears the job’s id.'),
        besides: z
          .array(z.object({ id, kind: z.string() }))
          .optional()
          .describe('What else it leaves there: PPO’s averaged weights.'),
      })
      .describe('What the job reads and what it makes.'),
    result: jobResult.optional(),
    error: errorBody.optional(),
  })
  .meta({ id: 'Job' });
export type JobView = z.infer<typeof jobView>;

export const jobPage = pageOf(jobView).meta({ id: 'JobPage' });

export const jobMetrics = z
  .object({
    points: z.array(
      z.object({ at: moment, attempt: z.int().min(0), step: z.int().min(0), values: z.record(z.string(), z.number()) }),
    ),
  })
  .meta({ id: 'JobMetrics' });
export type JobMetrics = z.infer<typeof jobMetrics>;

export const jobLogs = z
  .object({
    lines: z.array(
      z.object({
        at: moment,
        attempt: z.int().min(0),
        level: z.enum(logLevels),
        message: z.string(),
        fields: z.record(z.string(), z.unknown()).optional(),
      }),
    ),
  })
  .meta({ id: 'JobLogs' });
export type JobLogs = z.infer<typeof jobLogs>;

export const pipelineStates = ['waiting', 'active', 'paused', 'completed', 'failed', 'cancelled'] as const;
export type PipelineState = (typeof pipelineStates)[number];

export const pipelineView = z
  .object({
    id,
    name: z.string().optional(),
    state: z
      .enum(pipelineStates)
      .describe('`failed` or `cancelled`: a job has ended so, and the later ones wait; `retry` goes on from there.'),
    seed,
    createdAt: moment,
    jobs: z.array(jobView).describe('In the order in which they run.'),
  })
  .meta({ id: 'Pipeline' });
export type PipelineView = z.infer<typeof pipelineView>;

export const pipelinePage = pageOf(pipelineView).meta({ id: 'PipelinePage' });

/** One message of a pipeline's stream of events: the events of all its jobs, each with its job. */
export const pipelineEvent = z.object({ jobId: id, stage: stageName, event: jobEvent }).meta({ id: 'PipelineEvent' });
export type PipelineEvent = z.infer<typeof pipelineEvent>;
