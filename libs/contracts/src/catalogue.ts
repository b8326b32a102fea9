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
    ...optional({ field: 'demonstrations', id: config.demonstrations, kind: 'demonstrations' }),
  ],
  ppo: (config) => [
    { field: 'policy', id: config.policy, kind: 'policy' },
    { field: 'reward', id: config.reward, kind: 'reward-model' },
    { field: 'prompts', id: config.prompts, kind: 'prompts' },
    ...optional({ field: 'ptx.dataset', id: config.ptx?.dataset, kind: 'text' }),
  ],
  evaluation: (config) => [
    ...config.policies.map(({ checkpoint }, index): JobInput => ({ field: `policies.${index}.checkpoint`, id: checkpoint, kind: 'policy' })),
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
