import { promptsWithPairs } from '@pavlov/algorithms';
import { PavlovError, type RewardModelingConfig } from '@pavlov/contracts';
import { distinctBy, encodeDemonstration, splitHeldOut, type HeldOutSplit } from '@pavlov/datasets';
import { type TrainerContext } from '@pavlov/service-kit';
import { readRows, type LoadedCheckpoint } from '@pavlov/training';
import { checkLength, encodeRankings, type EncodedRanking } from './rankings';

type Context = TrainerContext<'reward-modeling'>;

/** What every member learns from and is measured on. */
export interface Material extends Readonly<HeldOutSplit<EncodedRanking>> {
  /** Every ranking of every dataset, ties and all. */
  readonly rankings: readonly EncodedRanking[];
  /** Prompt ⊕ completion ⊕ EOS; none where no dataset is given. */
  readonly demonstrations: readonly number[][];
}

/** @throws PavlovError DATASET_NOT_FOUND, DATASET_EMPTY, SEQUENCE_TOO_LONG or CONFIG_CONFLICT. */
export async function readMaterial(context: Context, policy: LoadedCheckpoint): Promise<Material> {
  const rankings = await readRankings(context, policy);
  const split = splitByPrompt(rankings, { config: context.config, seed: context.seed });
  return { rankings, ...split, demonstrations: await readDemonstrations(context, policy) };
}

/** The rankings of all rounds, this one's first. */
async function readRankings(context: Context, policy: LoadedCheckpoint): Promise<EncodedRanking[]> {
  const { config, store } = context;
  const ids = [config.rankings, ...config.earlierRankings];
  const datasets = await Promise.all(
    ids.map(async (id, index) => ({
      id,
      field: index === 0 ? 'rankings' : `earlierRankings.${index - 1}`,
      sha256: (await store.datasets.manifest(id)).sha256,
    })),
  );
  // The same labels given twice would weigh twice.
  const distinct = distinctBy(datasets, ({ sha256 }) => sha256);
  for (const { id, field } of datasets.filter((dataset) => !distinct.includes(dataset))) {
    context.log('warn', `The rankings of ${id} were given twice and are learned once.`, { field });
  }
  const { tokenizer, model } = policy;
  const encoded: EncodedRanking[] = [];
  for (const { id, field } of distinct) {
    const rows = await readRows(store, { id, kind: 'rankings' });
    encoded.push(...encodeRankings(rows, { tokenizer, contextLength: model.contextLength, field }));
  }
  return encoded;
}

/** All rankings of a prompt fall on one side, or a model would be measured on what it has learned. */
export function splitByPrompt(
  rankings: readonly EncodedRanking[],
  { config, seed }: { config: Pick<RewardModelingConfig, 'heldOutFraction' | 'seeds'>; seed: number },
): HeldOutSplit<EncodedRanking> {
  // A ranking that is one tie teaches nothing and measures nothing.
  const untied = rankings.filter(({ ranks }) => promptsWithPairs([ranks]) > 0);
  if (untied.length === 0) {
    throw new PavlovError({
      code: 'DATASET_EMPTY',
      field: 'rankings',
      message: 'Every ranking is a tie, so there is nothing to learn.',
      hint: 'Give at least one prompt with answers of different rank.',
    });
  }
  const split = splitHeldOut(untied, {
    fraction: config.heldOutFraction,
    seed,
    purpose: 'reward/held-out',
    groupOf: ({ prompt }) => prompt,
  });
  if (config.seeds > 1 && split.heldOut.length === 0) {
    throw new PavlovError({
      code: 'CONFIG_CONFLICT',
      field: 'heldOutFraction',
      message: `None of ${untied.length} rankings is held out, so ${config.seeds} models cannot be compared.`,
      hint: 'Raise heldOutFraction, give more rankings, or set seeds to 1.',
    });
  }
  return split;
}

async function readDemonstrations({ config, store }: Context, policy: LoadedCheckpoint): Promise<number[][]> {
  if (config.demonstrations === undefined) return [];
  const rows = await readRows(store, { id: config.demonstrations, kind: 'demonstrations' });
  const { contextLength } = policy.model;
  return rows.map((row, index) => {
    const { prompt, completion } = encodeDemonstration(row, policy.tokenizer);
    const sequence = [...prompt, ...completion];
    checkLength({ length: sequence.length, contextLength, field: 'demonstrations', line: index + 1 });
    return sequence;
  });
}
