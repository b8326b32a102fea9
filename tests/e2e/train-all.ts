import { openStore, type Store } from '@pavlov/checkpoint-store';
import { type StageName } from '@pavlov/contracts';
import { type Train } from '@pavlov/service-kit';
import { createTrainerContext, publishRows, type TestTrainerContext } from '@pavlov/testing';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { train as ppo } from '../../apps/ppo/src/train';
import { train as pretraining } from '../../apps/pretraining/src/train';
import { train as rewardModeling } from '../../apps/reward-modeling/src/train';
import { train as sft } from '../../apps/sft/src/train';
import { tinyConfigs, tinyWorld } from './tiny-world';

export interface TrainedPipeline {
  readonly store: Store;
  /** What each stage has told. */
  readonly pretraining: TestTrainerContext<'pretraining'>;
  readonly sft: TestTrainerContext<'sft'>;
  readonly rewardModeling: TestTrainerContext<'reward-modeling'>;
  readonly ppo: TestTrainerContext<'ppo'>;
}

const folders: string[] = [];

/** Removes the stores of all pipelines that were trained. */
export const removeStores = (): Promise<unknown> =>
  Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));

/**
 * Pretraining → SFT → reward model → PPO in this process, in a store of its own. The jobs bear their stages' names:
 * `sft-job`.
 *
 * @param options.config What every stage gets beside its own options.
 */
export async function trainAll(options: { seed: number; threads: number; config?: object }): Promise<TrainedPipeline> {
  const { seed, threads } = options;
  const root = await mkdtemp(join(tmpdir(), 'pavlov-train-all-'));
  folders.push(root);
  const store = openStore({ root });
  for (const kind of ['text', 'demonstrations', 'prompts', 'rankings'] as const)
    await publishRows(store, { id: kind, kind, rows: tinyWorld[kind] });
  const run = async <S extends StageName>(
    stage: S,
    train: Train<S>,
    inputs: Record<string, unknown>,
  ): Promise<TestTrainerContext<S>> => {
    const config = { ...tinyConfigs[stage as keyof typeof tinyConfigs], ...inputs, ...options.config };
    const context = await createTrainerContext({ stage, jobId: `${stage}-job`, config, seed, threads, store });
    await train(context);
    return context;
  };
  return {
    store,
    pretraining: await run('pretraining', pretraining, { dataset: 'text' }),
    sft: await run('sft', sft, {
      policy: 'pretraining-job',
      dataset: 'demonstrations',
      pretrainingMix: { dataset: 'text', batchSize: 2 },
    }),
    rewardModeling: await run('reward-modeling', rewardModeling, {
      policy: 'sft-job',
      rankings: 'rankings',
      demonstrations: 'demonstrations',
    }),
    ppo: await run('ppo', ppo, {
      policy: 'sft-job',
      reward: 'reward-modeling-job',
      prompts: 'prompts',
      ptx: { dataset: 'text', batchSize: 2 },
      microbatchSize: 3, // of 4
    }),
  };
}

/** SHA-256 of the weights of each checkpoint, by its id. */
export async function weightsOf({ store }: TrainedPipeline): Promise<Record<string, string>> {
  const manifests = await store.checkpoints.list();
  return Object.fromEntries(
    manifests.map(({ id, files }) => [id, files.find(({ path }) => path === 'model.safetensors')?.sha256 ?? 'none']),
  );
}
