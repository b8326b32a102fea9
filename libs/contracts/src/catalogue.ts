import { type z } from 'zod';
import { type StageName } from './ids';
import { type DatasetKind } from './rows';
import { evaluationConfig } from './stages/evaluation';
import { feedbackConfig } from './stages/feedback';
import { ppoConfig } from './stages/ppo';
import { pretrainingConfig } from './stages/pretraining';
import { rewardModelingConfig } from './stages/reward-modeling';
import { sftConfig } from './stages/sft';

export const stageConfigs = {
  pretraining: pretrainingConfig,
  sft: sftConfig,
  feedback: feedbackConfig,
  'reward-modeling': rewardModelingConfig,
  ppo: ppoConfig,
  evaluation: evaluationConfig,
} as const satisfies Record<StageName, z.ZodType>;
export type StageConfigs = { [S in StageName]: z.infer<(typeof stageConfigs)[S]> };

export type CheckpointKind = 'policy' | 'reward-model';
export type ArtifactKind = CheckpointKind | DatasetKind | 'report';

/** An artefact that a job reads: where its config names it, and what it must be. */
export interface JobInput {
  /** Dotted path in the config, e.g. `ptx.dataset`. */
  readonly field: string;
  readonly id: string;
  readonly kind: CheckpointKind | DatasetKind;
}

type InputsOf = { [S in StageName]: (config: StageConfigs[S]) => JobInput[] };

const optional = (input: { field: string; id: string | undefined; kind: JobInput['kind'] }): JobInput[] =>
  input.id === undefined ? [] : [{ ...input, id: input.id }];

/** Every artefact that a config names. The only place that knows which fields hold ids. */
export const inputsOf: InputsOf = {
  pretraining: (config) => [{ field: 'dataset', id: config.dataset, kind: 'text' }],
  sft: (config) => [
    { field: 'policy', id: config.policy, kind: 'policy' },
    { field: 'dataset', id: config.dataset, kind: 'demonstrations' },
    ...optional({ field: 'selection.reward', id: config.selection?.reward, kind: 'reward-model' }),
    ...optional({ field: 'selection.prompts', id: config.selection?.prompts, kind: 'prompts' }),
    ...optional({ field: 'pretrainingMix.dataset', id: config.pretrainingMix?.dataset, kind: 'text' }),
  ],
  feedback: (config) =>
    config.labeller.kind === 'import'
      ? [{ field: 'labeller.dataset', id: config.labeller.dataset, kind: 'rankings' }]
      : [
          ...optional({ field: 'policy', id: config.policy, kind: 'policy' }),
          ...optional({ field: 'prompts', id: config.prompts, kind: 'prompts' }),
        ],
  'reward-modeling': (config) => [
    { field: 'policy', id: config.policy, kind: 'policy' },
    { field: 'rankings', id: config.rankings, kind: 'rankings' },
    ...config.earlierRankings.map((id, index): JobInput => ({
      field: `earlierRankings.${index}`,
      id,
      kind: 'rankings',
    })),
    ...optional({ field: 'demonstrations', id: config.demonstrations, kind: 'demonstrations' }),
  ],
  ppo: (config) => [
    { field: 'policy', id: config.policy, kind: 'policy' },
    ...optional({ field: 'reward', id: config.reward, kind: 'reward-model' }),
    { field: 'prompts', id: config.prompts, kind: 'prompts' },
    ...optional({ field: 'ptx.dataset', id: config.ptx?.dataset, kind: 'text' }),
    ...(config.monitor.heldOut?.kind === 'model'
      ? [{ field: 'monitor.heldOut.checkpoint', id: config.monitor.heldOut.checkpoint, kind: 'reward-model' } as const]
      : []),
  ],
  evaluation: (config) => [
    ...config.policies.map(({ checkpoint }, index): JobInput => ({
      field: `policies.${index}.checkpoint`,
      id: checkpoint,
      kind: 'policy',
    })),
    { field: 'prompts', id: config.prompts, kind: 'prompts' },
    ...optional({ field: 'reference', id: config.reference, kind: 'policy' }),
    ...optional({ field: 'reward', id: config.reward, kind: 'reward-model' }),
    ...optional({ field: 'text', id: config.text, kind: 'text' }),
  ],
};

/** What each stage leaves in the store, under the job's own id. */
export const outputOf = {
  pretraining: 'policy',
  sft: 'policy',
  feedback: 'rankings',
  'reward-modeling': 'reward-model',
  ppo: 'policy',
  evaluation: 'report',
} as const satisfies Record<StageName, ArtifactKind>;

/** Id of the averaged weights that a ppo job publishes beside its policy. */
export const averageIdOf = (jobId: string): string => `${jobId}-ema`;
/** Id of the weights that a ppo job which broke down leaves behind. */
export const lastGoodIdOf = (jobId: string): string => `${jobId}-last-good`;

/** Everything a job that completes leaves in the store: its own artefact first. */
export function outputsOf<S extends StageName>(job: {
  readonly jobId: string;
  readonly stage: S;
  readonly config: StageConfigs[S];
}): { readonly id: string; readonly kind: ArtifactKind }[] {
  const own = { id: job.jobId, kind: outputOf[job.stage] };
  const averaged = job.stage === 'ppo' && (job.config as StageConfigs['ppo']).averageDecay !== null;
  return averaged ? [own, { id: averageIdOf(job.jobId), kind: 'policy' }] : [own];
}
