import { ensembleScores } from '@pavlov/algorithms';
import { type Store } from '@pavlov/checkpoint-store';
import { PavlovError } from '@pavlov/contracts';
import { createRewardScorer, loadModelFiles } from '@pavlov/model';
import { type Engine, type Parameters } from '@pavlov/tensor';
import { loadCheckpoint, memberFiles, memberFolder, type LoadedCheckpoint } from './checkpoints';

/** A checkpoint of kind `reward-model`: one model or an ensemble. `parameters` is `members[0]`. */
export interface RewardModel extends LoadedCheckpoint {
  readonly members: readonly Parameters[];
}

/** @throws PavlovError CHECKPOINT_NOT_FOUND, CHECKPOINT_WRONG_KIND or CHECKPOINT_CORRUPT. */
export async function loadRewardModel(store: Store, id: string): Promise<RewardModel> {
  const root = await loadCheckpoint(store, { id, head: 'scalar' });
  const { members: count = 1 } = await store.checkpoints.manifest(id);
  const members = [root.parameters];
  for (let nth = 2; nth <= count; nth++) members.push(await loadMember(store, { id, nth, root }));
  return { ...root, members };
}

async function loadMember(
  store: Store,
  { id, nth, root }: { id: string; nth: number; root: LoadedCheckpoint },
): Promise<Parameters> {
  const folder = memberFolder(nth);
  const own = memberFiles.map(async (name) => [name, await store.checkpoints.read(id, folder + name)] as const);
  const shared = Object.entries(root.tokenizerFiles).map(([name, text]) => [name, Buffer.from(text)] as const);
  const { config, head, parameters } = loadModelFiles(Object.fromEntries([...shared, ...(await Promise.all(own))]));
  if (head === 'scalar' && JSON.stringify(config) === JSON.stringify(root.model)) return parameters;
  throw new PavlovError({
    code: 'CHECKPOINT_CORRUPT',
    field: `${folder}config.json`,
    message: `Member ${nth} of the reward model ${id} is of another size or kind than the first.`,
    hint: 'Restore it from a backup, or make it again under another id.',
  });
}

/** One entry per sequence in each array. */
export interface RewardModelScores {
  /** Mean over the members, less `pessimism` standard deviations. */
  readonly scores: Float32Array;
  /** Standard deviation over the members (biased); all 0 for one member. */
  readonly deviations: Float32Array;
}

/** One call at a time, as for every compiled function. */
export interface RewardModelScorer {
  /** Scores prompt ⊕ answer ⊕ EOS, any number of them; no padding, no batch and no neighbour changes a score. */
  score(sequences: readonly (readonly number[])[]): Promise<RewardModelScores>;
  dispose(): void;
}

/** Compiles the scores of a reward model; the members of an ensemble share one compiled graph. */
export async function createRewardModelScorer(
  engine: Engine,
  options: {
    readonly rewardModel: Pick<RewardModel, 'model' | 'members'>;
    /** Sequences scored together. */
    readonly batch: number;
    /** Room for a sequence, in tokens. */
    readonly length: number;
    /** How many standard deviations the members' disagreement costs; by default none. */
    readonly pessimism?: number;
  },
): Promise<RewardModelScorer> {
  const { rewardModel, batch, length, pessimism = 0 } = options;
  const scorer = await createRewardScorer(engine, { config: rewardModel.model, batch, length });
  return {
    score: async (sequences) => {
      const members: Float32Array[] = [];
      for (const parameters of rewardModel.members) members.push(await scorer.score({ parameters, sequences }));
      return ensembleScores({ members, pessimism });
    },
    dispose: () => scorer.dispose(),
  };
}
