import { openStore, type Store } from '@pavlov/checkpoint-store';
import { averageIdOf, type JobPayload, stageConfigs } from '@pavlov/contracts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publishedBy, resultOf } from './artifacts';

const config = stageConfigs.ppo.parse({ policy: 'sft-1', reward: 'reward-1', prompts: 'asked-1' });
const job: JobPayload<'ppo'> = { jobId: 'ppo-1', stage: 'ppo', seed: 0, config };

describe('what a ppo job has left', () => {
  let root: string;
  let store: Store;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'pavlov-artifacts-'));
    store = openStore({ root });
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const publish = (id: string) =>
    store.checkpoints.publish({
      manifest: {
        id,
        kind: 'policy',
        lineage: { stage: 'ppo', jobId: job.jobId, attempt: 1, parents: [], datasets: [], config, seed: 0 },
        model: { vocabSize: 300, contextLength: 64, layers: 1, heads: 1, width: 8 },
        tokenizerFingerprint: 'none',
        metrics: { reward: 1 },
      },
      files: { 'model.safetensors': id },
    });

  it('is its policy, and the averaged one where there is one', async () => {
    await publish(job.jobId);
    expect(await publishedBy(job, store)).toEqual({ checkpointId: 'ppo-1', metrics: { reward: 1 } });
    await publish(averageIdOf(job.jobId));
    expect(await resultOf(job, store, { metrics: { kl: 2 }, tokens: 5 })).toEqual({
      checkpointId: 'ppo-1',
      averageCheckpointId: 'ppo-1-ema',
      metrics: { kl: 2 },
      tokens: 5,
    });
  });

  it('is nothing yet while only the average is there: that one comes first', async () => {
    await publish(averageIdOf(job.jobId));
    expect(await publishedBy(job, store)).toBeUndefined();
    await expect(resultOf(job, store, { metrics: {}, tokens: 0 })).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});
