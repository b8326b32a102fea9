/**
 * A world in which what PPO should find is known exactly: five prompts, answers of at most two tokens, and a reference
 * policy that SFT has taught some words for each prompt, in different proportions. “no idea” is worth most, but has two
 * tokens even without its EOS, so that it never ends in time. Everything goes through the stages' own `train` functions,
 * and the rewards through a module named in PAVLOV_REWARDS.
 */
import { openStore, type Store } from '@pavlov/checkpoint-store';
import { PavlovError, type StageName } from '@pavlov/contracts';
import { loadRewardFunctions, openReward } from '@pavlov/rewards';
import { type Train } from '@pavlov/service-kit';
import { createEngine } from '@pavlov/tensor';
import { createTrainerContext, publishRows, type TestTrainerContext } from '@pavlov/testing';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { train as ppo } from '../../apps/ppo/src/train';
import { train as pretraining } from '../../apps/pretraining/src/train';
import { train as sft } from '../../apps/sft/src/train';
import { openAnswerSpace, type AnswerSpace } from './answer-space';
import { type Distribution, type Problem } from './exact';
import table from './world.json';

/** From the repository's root, where tests and benchmarks are run. */
const rewardsModule = join('tests', 'proofs', 'rewards.cjs');

export const prompts = Object.keys(table);

const demonstrations = Object.entries(table).flatMap(([prompt, words]) =>
  Object.entries(words).flatMap(([completion, { demonstrations }]) =>
    Array.from({ length: demonstrations }, () => ({ prompt, completion })),
  ),
);

const pretrainingConfig = {
  dataset: 'text',
  model: { layers: 1, heads: 2, width: 32, contextLength: 16 },
  steps: 20,
  batchSize: 20,
  warmupSteps: 2,
};

const sftConfig = {
  policy: 'start',
  dataset: 'demonstrations',
  epochs: 100,
  batchSize: 35,
  learningRate: 5e-3,
  warmupSteps: 20,
  dropout: 0,
  heldOutFraction: 0,
};

const missingEosReward = -1;
const ppoConfig = {
  policy: 'reference',
  prompts: 'prompts',
  maxNewTokens: 2,
  missingEosReward,
  iterations: 60,
  warmupIterations: 5,
  batchSize: 512,
  minibatchSize: 64,
  epochs: 1,
  learningRate: 1e-3,
  valueLearningRate: 3e-3,
};

export interface PpoJob {
  readonly jobId: string;
  /** Name of the reward function to maximise. */
  readonly reward: string;
  /** Beside the world's own; see `ppoConfig`. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly threads?: number;
}

export interface World {
  readonly store: Store;
  readonly space: AnswerSpace;
  readonly reference: Distribution;
  /** The reference, and a reward function's verdict on every answer. */
  problem(reward: string): Promise<Problem>;
  train(job: PpoJob): Promise<TestTrainerContext<'ppo'>>;
  /** Runs a job that must not succeed. */
  breakDown(job: PpoJob): Promise<{ context: TestTrainerContext<'ppo'>; error: PavlovError }>;
  /** SHA-256 of a checkpoint's weights. */
  hashOf(checkpoint: string): Promise<string>;
  close(): Promise<void>;
}

/** Pretrains and fine-tunes the reference. */
export async function openWorld({ seed }: { seed: number }): Promise<World> {
  process.env.PAVLOV_REWARDS = rewardsModule;
  const root = await mkdtemp(join(tmpdir(), 'pavlov-proofs-'));
  const store = openStore({ root });
  const engine = await createEngine({ threads: 1 });
  const open = <S extends StageName>(job: { stage: S; jobId: string; config: unknown; threads?: number }) =>
    createTrainerContext({ threads: 1, ...job, seed, store });
  const run = async <S extends StageName>(train: Train<S>, context: TestTrainerContext<S>) => {
    await train(context);
    return context;
  };
  const openPpo = ({ jobId, reward, config, threads }: PpoJob) => {
    const rewardFunctions = [{ kind: 'function', name: reward }];
    return open({ stage: 'ppo', jobId, config: { ...ppoConfig, rewardFunctions, ...config }, threads });
  };

  // Twice: a byte-level BPE merges only what occurs twice, and each word is to be one token.
  const text = [...demonstrations, ...demonstrations].map(({ prompt, completion }) => ({
    text: `User: ${prompt}\nAssistant: ${completion}`,
  }));
  await publishRows(store, { id: 'text', kind: 'text', rows: text });
  await publishRows(store, { id: 'demonstrations', kind: 'demonstrations', rows: demonstrations });
  await publishRows(store, { id: 'prompts', kind: 'prompts', rows: prompts.map((prompt) => ({ prompt })) });
  await run(pretraining, await open({ stage: 'pretraining', jobId: 'start', config: pretrainingConfig }));
  await run(sft, await open({ stage: 'sft', jobId: 'reference', config: sftConfig }));
  const space = await openAnswerSpace(engine, { store, like: 'reference', prompts });
  const reference = await space.distributionOf('reference');

  return {
    store,
    space,
    reference,
    problem: async (reward) => ({ reference, rewards: await rewardsOf(reward, space) }),
    train: async (job) => run(ppo, await openPpo(job)),
    breakDown: async (job) => {
      const context = await openPpo(job);
      const error: unknown = await ppo(context).catch((reason: unknown) => reason);
      if (error instanceof PavlovError) return { context, error };
      throw new Error(`${job.jobId} did not break down`, { cause: error });
    },
    hashOf: async (checkpoint) => {
      const { files } = await store.checkpoints.manifest(checkpoint);
      return files.find(({ path }) => path === 'model.safetensors')!.sha256;
    },
    close: async () => {
      engine.dispose();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** r(x, y): the function's reward, and for an answer without EOS what the stage puts in its place. */
async function rewardsOf(name: string, { texts, finished }: AnswerSpace): Promise<Float64Array[]> {
  const { score } = openReward({ kind: 'function', name }, await loadRewardFunctions());
  const ended = texts.flatMap((response, y) => (finished[y] ? [{ y, response }] : []));
  return Promise.all(
    prompts.map(async (prompt) => {
      const scores = await score(ended.map(({ response }) => ({ prompt, response, finished: true })));
      const rewards = new Float64Array(texts.length).fill(missingEosReward);
      ended.forEach(({ y }, index) => (rewards[y] = scores[index]));
      return rewards;
    }),
  );
}
