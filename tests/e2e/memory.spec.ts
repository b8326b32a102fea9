import { openStore, type Store } from '@pavlov/checkpoint-store';
import { type StageName } from '@pavlov/contracts';
import { type Train } from '@pavlov/service-kit';
import { createTrainerContext, publishRows } from '@pavlov/testing';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { train as evaluation } from '../../apps/evaluation/src/train';
import { train as feedback } from '../../apps/feedback/src/train';
import { train as ppo } from '../../apps/ppo/src/train';
import { train as pretraining } from '../../apps/pretraining/src/train';
import { train as rewardModeling } from '../../apps/reward-modeling/src/train';
import { train as sft } from '../../apps/sft/src/train';
import { gradedPrompts, tinyConfigs, tinyWorld } from './tiny-world';

/** Eighty jobs of all stages in this one process: what a job took, it gives back, whether it succeeds or not. */
let root: string;
let store: Store;
let jobs = 0;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const megabytes = 2 ** 20;
const resident = (): number => {
  collect();
  return process.memoryUsage().rss / megabytes;
};

/** Runs a job to its end, or to where it is cancelled: at its `cancelledAt`-th checkpoint. */
async function run<S extends StageName>(
  [stage, train]: readonly [S, Train<S>],
  { inputs, jobId, cancelledAt }: { inputs: Record<string, unknown>; jobId?: string; cancelledAt?: number },
): Promise<void> {
  const config = { ...tinyConfigs[stage], ...inputs };
  const context = await createTrainerContext({
    stage,
    jobId: jobId ?? `job-${++jobs}`,
    config,
    seed: 1,
    threads: 2,
    store,
  });
  let checkpoints = 0;
  const job = train({
    ...context,
    checkpoint: () => (++checkpoints === cancelledAt ? Promise.reject(new Error('cancelled')) : Promise.resolve()),
  });
  await (cancelledAt === undefined ? job : expect(job).rejects.toThrow('cancelled'));
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pavlov-memory-'));
  store = openStore({ root });
  for (const kind of ['text', 'demonstrations', 'rankings'] as const)
    await publishRows(store, { id: kind, kind, rows: tinyWorld[kind] });
  await publishRows(store, { id: 'prompts', kind: 'prompts', rows: gradedPrompts });
  await run(['pretraining', pretraining], { jobId: 'policy', inputs: { dataset: 'text' } });
  await run(['reward-modeling', rewardModeling], {
    jobId: 'reward',
    inputs: { policy: 'policy', rankings: 'rankings' },
  });
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Ten jobs; the last four are cancelled half-way. */
async function tenJobs(): Promise<void> {
  const toPretrain = { dataset: 'text', steps: 3, warmupSteps: 1 };
  const toTune = { policy: 'policy', dataset: 'demonstrations', epochs: 1 };
  const toRank = { policy: 'policy', rankings: 'rankings' };
  const toReward = { policy: 'policy', reward: 'reward', prompts: 'prompts' };
  await run(['pretraining', pretraining], { inputs: toPretrain });
  await run(['sft', sft], { inputs: toTune });
  await run(['feedback', feedback], { inputs: { policy: 'policy', prompts: 'prompts' } });
  await run(['reward-modeling', rewardModeling], { inputs: toRank });
  await run(['ppo', ppo], { inputs: toReward });
  await run(['evaluation', evaluation], {
    inputs: { policies: [{ name: 'policy', checkpoint: 'policy' }], prompts: 'prompts', reward: 'reward' },
  });
  await run(['pretraining', pretraining], { inputs: toPretrain, cancelledAt: 2 });
  await run(['sft', sft], { inputs: toTune, cancelledAt: 2 });
  await run(['reward-modeling', rewardModeling], { inputs: toRank, cancelledAt: 2 });
  await run(['ppo', ppo], { inputs: toReward, cancelledAt: 3 });
}

/** Jobs that leave their sessions behind keep 7 MB each. What fragments of the allocators' pools add is 0.1 to 0.4 MB. */
const mostPerJob = 1.5;

/** A single size also says how full the allocators' pools happen to be. */
const median = ([...three]: number[]): number => three.sort((a, b) => a - b)[1];

it('gives back what a job took', async () => {
  await tenJobs(); // What is loaded once, and the allocators' pools.
  const sizes: number[] = [];
  for (let ten = 0; ten < 7; ten++) {
    await tenJobs();
    sizes.push(resident());
  }
  const [before, after] = [median(sizes.slice(0, 3)), median(sizes.slice(-3))];
  expect((after - before) / 40).toBeLessThan(mostPerJob);
}, 60_000);
