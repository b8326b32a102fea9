import { openStore, type Store } from '@pavlov/checkpoint-store';
import { completionRequest, type StageName } from '@pavlov/contracts';
import type * as kernels from '@pavlov/kernels';
import { type Train } from '@pavlov/service-kit';
import { createTrainerContext, publishRows } from '@pavlov/testing';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { train as evaluation } from '../../apps/evaluation/src/train';
import { createCompleter } from '../../apps/inference/src/complete';
import { train as ppo } from '../../apps/ppo/src/train';
import { train as pretraining } from '../../apps/pretraining/src/train';
import { train as rewardModeling } from '../../apps/reward-modeling/src/train';
import { train as sft } from '../../apps/sft/src/train';
import { tinyConfigs, tinyWorld } from './tiny-world';

// So that it is tested on every machine what the stages say where the processor cannot.
jest.mock('@pavlov/kernels', () => ({
  ...jest.requireActual<typeof kernels>('@pavlov/kernels'),
  computesBfloat16: () => false,
}));

let root: string;
let store: Store;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pavlov-precision-'));
  store = openStore({ root });
  await publishRows(store, { id: 'text', kind: 'text', rows: tinyWorld.text });
});
afterAll(() => rm(root, { recursive: true }));

const trainers = { pretraining, sft, 'reward-modeling': rewardModeling, ppo, evaluation } satisfies {
  [S in StageName]?: Train<S>;
};
type Stage = keyof typeof trainers;

async function run<S extends Stage>(stage: S, config: object): Promise<void> {
  const options = { ...tinyConfigs[stage], ...config };
  const job = { stage, jobId: `${stage}-job`, config: options, seed: 1, threads: 1, store };
  await (trainers as { [T in Stage]: Train<T> })[stage](await createTrainerContext(job));
}

const refusalOf = (field: string) => ({
  code: 'PRECISION_UNAVAILABLE',
  retryable: false,
  body: {
    field,
    message: expect.stringContaining('cannot compute in bfloat16'),
    hint: expect.stringContaining(`Leave \`${field}\` out to compute in float32`),
  },
});

describe('a machine without bfloat16', () => {
  it.each<[Stage, object]>([
    ['pretraining', { dataset: 'text' }],
    ['sft', { policy: 'base', dataset: 'demonstrations' }],
    ['reward-modeling', { policy: 'base', rankings: 'rankings' }],
    ['ppo', { policy: 'base', reward: 'reward', prompts: 'prompts' }],
  ])('fails a job of %s for good, before anything is computed', async (stage, inputs) => {
    const error: unknown = await run(stage, { ...inputs, precision: 'bfloat16' }).catch((reason: unknown) => reason);
    expect(error).toMatchObject(refusalOf('precision'));
    expect(await store.checkpoints.list()).toEqual([]);
  });

  it('fails an evaluation that is to sample so', async () => {
    const policies = [{ name: 'base', checkpoint: 'base' }];
    const error: unknown = await run('evaluation', { policies, prompts: 'prompts', weights: 'bfloat16' }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject(refusalOf('weights'));
  });

  it('trains and answers in float32, and refuses to answer in bfloat16', async () => {
    await run('pretraining', { dataset: 'text' });
    expect(await store.checkpoints.list()).toMatchObject([{ id: 'pretraining-job' }]);
    using completer = createCompleter({ store, threads: 1 });
    const ask = (weights: string) =>
      completer.complete(completionRequest.parse({ checkpoint: 'pretraining-job', prompt: 'What?', weights }));
    expect((await ask('float32')).choices).toHaveLength(1);
    await expect(ask('bfloat16')).rejects.toMatchObject(refusalOf('weights'));
    expect((await ask('int8')).choices).toHaveLength(1);
  });
});
