import { type JobPayload, type StageName } from '@pavlov/contracts';
import { type MeasuredKind } from './dataset-rows';
import { modelsOf } from './facts';

/** Sequences that have to fit the contexts of some models. */
export interface Sequences {
  readonly field: string;
  readonly dataset: string;
  readonly kind: MeasuredKind;
  /** Tokens to be sampled after each row. */
  readonly newTokens: number;
  /** Only the first so many rows are used. */
  readonly limit?: number;
  readonly models: readonly string[];
  /** What else can be done about a row that is too long. */
  readonly remedy?: string;
}

const given = <T>(values: readonly (T | undefined)[]): T[] => values.filter((value) => value !== undefined);

type SequencesOf = { readonly [S in StageName]: (payload: JobPayload<S>) => readonly Sequences[] };

const sequencesOf: SequencesOf = {
  pretraining: () => [],
  sft: ({ config: { dataset, policy, selection } }) => [
    { field: 'dataset', dataset, kind: 'demonstrations', newTokens: 0, models: [policy] },
    ...given([selection]).map(({ prompts, maxNewTokens, maxPrompts, reward }) => ({
      field: 'selection.prompts',
      dataset: prompts,
      kind: 'prompts' as const,
      newTokens: maxNewTokens,
      limit: maxPrompts,
      models: [policy, reward],
    })),
  ],
  feedback: ({ config: { prompts, policy, maxNewTokens, labeller } }) =>
    labeller.kind === 'import' || prompts === undefined
      ? []
      : [{ field: 'prompts', dataset: prompts, kind: 'prompts', newTokens: maxNewTokens, models: given([policy]) }],
  'reward-modeling': ({ config: { rankings, earlierRankings, demonstrations, policy, standardise } }) => {
    const common = { newTokens: 0, models: [policy] };
    const ranked = [rankings, ...earlierRankings].map((dataset, index) => ({
      ...common,
      field: index === 0 ? 'rankings' : `earlierRankings.${index - 1}`,
      dataset,
      kind: 'rankings' as const,
    }));
    return [
      ...ranked,
      ...given([demonstrations]).map((dataset) => ({
        ...common,
        field: 'demonstrations',
        dataset,
        kind: 'demonstrations' as const,
      })),
      ...given([standardise]).flatMap(({ maxNewTokens }) =>
        ranked.map((rows) => ({
          ...rows,
          field: 'standardise.maxNewTokens',
          kind: 'ranked-prompts' as const,
          newTokens: maxNewTokens,
        })),
      ),
    ];
  },
  ppo: (payload) => {
    const { prompts, maxNewTokens, maxPromptTokens } = payload.config;
    if (maxPromptTokens !== undefined) return []; // longer ones are left out
    const remedy = 'leave long prompts out with maxPromptTokens';
    const models = modelsOf(payload);
    return [{ field: 'prompts', dataset: prompts, kind: 'prompts', newTokens: maxNewTokens, models, remedy }];
  },
  evaluation: (payload) => {
    const { prompts, maxNewTokens, maxPrompts } = payload.config;
    const models = modelsOf(payload);
    return [
      { field: 'prompts', dataset: prompts, kind: 'prompts', newTokens: maxNewTokens, limit: maxPrompts, models },
    ];
  },
};

/** Text is cut to the context and always fits; every other row is one sequence. */
export const sequencesIn = <S extends StageName>(payload: JobPayload<S>): readonly Sequences[] =>
  sequencesOf[payload.stage](payload);
