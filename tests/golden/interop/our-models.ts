import { openStore, type Store } from '@pavlov/checkpoint-store';
import { type StageName } from '@pavlov/contracts';
import {
  createGenerator,
  createRewardScorer,
  hiddenStates,
  lmLogits,
  loadModelFiles,
  type Model,
  type ModelFiles,
} from '@pavlov/model';
import { type Train } from '@pavlov/service-kit';
import { parameterSignature, type Engine } from '@pavlov/tensor';
import { createTrainerContext, publishRows } from '@pavlov/testing';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { train as pretraining } from '../../../apps/pretraining/src/train';
import { train as rewardModeling } from '../../../apps/reward-modeling/src/train';
import { train as sft } from '../../../apps/sft/src/train';
import { tinyConfigs, tinyWorld } from '../../e2e/tiny-world';
import { corpus } from './texts';

/** Trains a policy and an ensemble of two reward models in `folder`, and copies what was published to `ours/`. */
export async function publishOurs(folder: string): Promise<void> {
  const store = openStore({ root: join(folder, 'store') });
  const text = [...tinyWorld.text, ...corpus.flatMap((document) => [{ text: document }, { text: document }])];
  await publishRows(store, { id: 'text', kind: 'text', rows: text });
  for (const kind of ['demonstrations', 'rankings'] as const)
    await publishRows(store, { id: kind, kind, rows: tinyWorld[kind] });
  const run = async <S extends StageName>(stage: S, train: Train<S>, config: unknown): Promise<void> => {
    await train(await createTrainerContext({ stage, jobId: stage, config, seed: 1, threads: 2, store }));
  };
  await run('pretraining', pretraining, {
    ...tinyConfigs.pretraining,
    tokenizer: { vocabSize: 500 },
    dataset: 'text',
    steps: 60,
  });
  await run('sft', sft, { ...tinyConfigs.sft, policy: 'pretraining', dataset: 'demonstrations' });
  await run('reward-modeling', rewardModeling, {
    ...tinyConfigs['reward-modeling'],
    policy: 'sft',
    rankings: 'rankings',
    seeds: 2,
    keep: 'ensemble',
  });
  await copyCheckpoint(store, { id: 'sft', to: join(folder, 'ours', 'policy') });
  await copyCheckpoint(store, { id: 'reward-modeling', to: join(folder, 'ours', 'reward') });
}

async function copyCheckpoint(store: Store, { id, to }: { id: string; to: string }): Promise<void> {
  for (const { path } of (await store.checkpoints.manifest(id)).files) {
    await mkdir(dirname(join(to, path)), { recursive: true });
    await writeFile(join(to, path), await store.checkpoints.read(id, path));
  }
}

async function readModelFiles(folder: string): Promise<ModelFiles> {
  const entries = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile());
  return Object.fromEntries(
    await Promise.all(entries.map(async ({ name }) => [name, await readFile(join(folder, name))] as const)),
  );
}

/** A model whose files are in the given folders, the last one's before the others'. */
export async function openModel(...folders: string[]) {
  return loadModelFiles(Object.assign({}, ...(await Promise.all(folders.map(readModelFiles)))) as ModelFiles);
}

type Opened = Pick<Model, 'config' | 'parameters'>;

/** Next-token logits of each sequence, flat [T, V]. */
export async function logitsOf(
  engine: Engine,
  { config, parameters }: Opened,
  sequences: readonly (readonly number[])[],
): Promise<Float32Array[]> {
  const columns = Math.max(...sequences.map((sequence) => sequence.length));
  const compiled = await engine.compile(
    ({ tokens, ...weights }) => ({ logits: lmLogits(weights, hiddenStates(weights, tokens, config), config) }),
    {
      ...parameterSignature(parameters.layout),
      tokens: { shape: [sequences.length, columns], dtype: 'int32' },
    },
  );
  const tokens = new Int32Array(sequences.length * columns).fill(config.padId);
  sequences.forEach((sequence, row) => tokens.set(sequence, row * columns));
  const { logits } = await compiled.run({ ...parameters.views, tokens });
  return sequences.map(({ length }, row) => {
    const start = row * columns * config.vocabSize;
    return Float32Array.from(logits.subarray(start, start + length * config.vocabSize));
  });
}

/** The reward of each sequence. */
export async function rewardsOf(
  engine: Engine,
  { config, parameters }: Opened,
  sequences: readonly (readonly number[])[],
): Promise<Float32Array> {
  const scorer = await createRewardScorer(engine, { config, batch: sequences.length, length: config.contextLength });
  return scorer.score({ parameters, sequences });
}

/** The likeliest continuation of each prompt. */
export async function continuationsOf(
  engine: Engine,
  { config, parameters }: Opened,
  { prompts, maxNewTokens, eosId }: { prompts: readonly number[][]; maxNewTokens: number; eosId: number },
): Promise<number[][]> {
  const generator = await createGenerator(engine, {
    config,
    batch: prompts.length,
    maxPromptTokens: Math.max(...prompts.map((prompt) => prompt.length)),
    maxNewTokens,
  });
  const { responses } = await generator.generate({
    parameters,
    prompts,
    temperature: 0,
    eosId,
    stopAtEos: true,
    seed: 1,
    purpose: 'interop',
    step: 0,
  });
  return responses;
}
