import { openStore, type Store } from '@pavlov/checkpoint-store';
import { type Lineage } from '@pavlov/contracts';
import { initParameters, saveModelFiles, type ModelFiles, type TransformerConfig } from '@pavlov/model';
import { createEngine, type Engine } from '@pavlov/tensor';
import { loadTokenizer, trainByteLevelBpe } from '@pavlov/tokenizer';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadCheckpoint, publishCheckpoint, type PublishingContext } from './checkpoints';
import { createRewardModelScorer, loadRewardModel } from './reward-models';

const tokenizerFiles = trainByteLevelBpe(['two cows, three cows, one goat'], { vocabSize: 270 });
const tokenizer = loadTokenizer(tokenizerFiles);
const model = {
  vocabSize: tokenizer.vocabSize,
  contextLength: 12,
  layers: 1,
  heads: 1,
  width: 8,
  padId: tokenizer.padId,
};
const members = [1, 2, 3].map((seed) => initParameters(model, 'scalar', seed));
const sequences = ['two', 'cows', 'a goat'].map((text) => tokenizer.encodeCompletion(text));

let root: string;
let store: Store;
let engine: Engine;
const publish = async (id: string, count: number): Promise<void> => {
  const context: PublishingContext = {
    job: { jobId: id },
    store,
    fence: await store.claim(id, 1),
    lineage: () => Promise.resolve(lineageOf(id)),
  };
  await publishCheckpoint(context, {
    kind: 'reward-model',
    model,
    parameters: members[0],
    members: members.slice(0, count),
    tokenizerFiles,
    metrics: {},
  });
};

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pavlov-reward-models-'));
  store = openStore({ root });
  engine = await createEngine({ threads: 1 });
});
afterAll(async () => {
  engine.dispose();
  await rm(root, { recursive: true });
});

describe('a published ensemble', () => {
  it('comes back with every member, the first at the root', async () => {
    await publish('three', 3);
    const rewardModel = await loadRewardModel(store, 'three');
    expect(rewardModel.members.map(({ data }) => data)).toEqual(members.map(({ data }) => data));
    expect(rewardModel.parameters).toBe(rewardModel.members[0]);

    const manifest = await store.checkpoints.manifest('three');
    expect(manifest.members).toBe(3);
    expect(manifest.files.map(({ path }) => path).filter((path) => path.startsWith('members/'))).toEqual([
      'members/2/config.json',
      'members/2/model.safetensors',
      'members/3/config.json',
      'members/3/model.safetensors',
    ]);
    const opened = await loadCheckpoint(store, { id: 'three', head: 'scalar' });
    expect(opened.parameters.data).toEqual(members[0].data);
  });

  it('scores with the mean of its members, less what they disagree', async () => {
    const rewardModel = { model, members };
    const each = await Promise.all(
      members.map(async (one) => {
        const scorer = await createRewardModelScorer(engine, {
          rewardModel: { model, members: [one] },
          batch: 2,
          length: 12,
          pessimism: 2,
        });
        return scorer.score(sequences);
      }),
    );
    for (const { deviations } of each) expect([...deviations]).toEqual([0, 0, 0]);
    const scorer = await createRewardModelScorer(engine, { rewardModel, batch: 2, length: 12, pessimism: 2 });
    const { scores, deviations } = await scorer.score(sequences);
    scorer.dispose();
    sequences.forEach((_, index) => {
      const values = each.map((one) => one.scores[index]);
      const mean = values.reduce((sum, value) => sum + value, 0) / 3;
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 3);
      expect(deviation).toBeGreaterThan(0.1);
      expect(deviations[index]).toBeCloseTo(deviation, 6);
      expect(scores[index]).toBeCloseTo(mean - 2 * deviation, 6);
    });
  });

  it('is a plain checkpoint for one member', async () => {
    await publish('one', 1);
    expect((await store.checkpoints.manifest('one')).members).toBeUndefined();
    expect((await loadRewardModel(store, 'one')).members).toHaveLength(1);
  });
});

it('says which member does not fit', async () => {
  const filesOf = (config: TransformerConfig): ModelFiles =>
    saveModelFiles({ config, head: 'scalar', parameters: initParameters(config, 'scalar', 1), tokenizerFiles });
  const shorter = filesOf({ ...model, contextLength: 10 });
  await store.checkpoints.publish({
    manifest: {
      id: 'unsound',
      kind: 'reward-model',
      lineage: lineageOf('unsound'),
      model,
      tokenizerFingerprint: tokenizer.fingerprint,
      metrics: {},
      members: 2,
    },
    files: {
      ...filesOf(model),
      'members/2/config.json': shorter['config.json'],
      'members/2/model.safetensors': shorter['model.safetensors'],
    },
  });
  await expect(loadRewardModel(store, 'unsound')).rejects.toMatchObject({
    body: { code: 'CHECKPOINT_CORRUPT', field: 'members/2/config.json' },
  });
});

function lineageOf(jobId: string): Lineage {
  return { stage: 'reward-modeling', jobId, attempt: 1, parents: [], datasets: [], config: {}, seed: 1 };
}
