import { openStore, type Store } from '@pavlov/checkpoint-store';
import { reportFiles, type EvaluationReport, type Lineage } from '@pavlov/contracts';
import { initParameters } from '@pavlov/model';
import { createTrainerContext, publishRows } from '@pavlov/testing';
import { loadTokenizer, trainByteLevelBpe } from '@pavlov/tokenizer';
import { publishCheckpoint } from '@pavlov/training';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { train } from './train';

const tokenizerFiles = trainByteLevelBpe(['User: How many? Assistant: Three.'], { vocabSize: 280 });
const tokenizer = loadTokenizer(tokenizerFiles);
const model = {
  vocabSize: tokenizer.vocabSize,
  contextLength: 48,
  layers: 1,
  heads: 1,
  width: 8,
  padId: tokenizer.padId,
};
const lineage: Lineage = {
  stage: 'reward-modeling',
  jobId: 'made-by-hand',
  attempt: 1,
  parents: [],
  datasets: [],
  config: {},
  seed: 1,
};

let root: string;
let store: Store;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pavlov-evaluation-'));
  store = openStore({ root });
  const publish = async (id: string, checkpoint: { kind: 'policy' | 'reward-model'; seeds: number[] }) => {
    const { kind, seeds } = checkpoint;
    const members = seeds.map((seed) => initParameters(model, kind === 'policy' ? 'lm' : 'scalar', seed));
    await publishCheckpoint(
      { job: { jobId: id }, store, fence: await store.claim(id, 1), lineage: () => Promise.resolve(lineage) },
      { kind, model, parameters: members[0], members, tokenizerFiles, metrics: {} },
    );
  };
  await publish('policy', { kind: 'policy', seeds: [1] });
  await publish('first', { kind: 'reward-model', seeds: [2] });
  await publish('second', { kind: 'reward-model', seeds: [3] });
  await publish('both', { kind: 'reward-model', seeds: [2, 3] });
  await publishRows(store, {
    id: 'prompts',
    kind: 'prompts',
    rows: ['How many?', 'Why three?', 'Who says so?'].map((prompt) => ({ prompt })),
  });
});
afterAll(() => rm(root, { recursive: true }));

async function evaluate(reward: string): Promise<EvaluationReport> {
  const config = {
    policies: [{ name: 'one', checkpoint: 'policy' }],
    prompts: 'prompts',
    reward,
    maxNewTokens: 4,
    batchSize: 2,
  };
  const jobId = `evaluation-of-${reward}`;
  await train(await createTrainerContext({ stage: 'evaluation', jobId, config, seed: 1, threads: 1, store }));
  return JSON.parse((await store.reports.read(jobId, reportFiles.json)).toString('utf8')) as EvaluationReport;
}

it('scores with an ensemble: the members’ mean, and how far they lie apart', async () => {
  const [first, second, both] = [await evaluate('first'), await evaluate('second'), await evaluate('both')];
  const rewards = ({ samples }: EvaluationReport): number[] =>
    samples.map(({ responses }) => responses[0].reward ?? NaN);
  const deviations = rewards(first).map((reward, index) => Math.abs(reward - rewards(second)[index]) / 2);
  rewards(both).forEach((reward, index) => {
    expect(reward).toBeCloseTo((rewards(first)[index] + rewards(second)[index]) / 2, 6);
  });
  expect(both.policies[0].rewardDeviation).toBeCloseTo(deviations.reduce((sum, one) => sum + one, 0) / 3, 6);
  expect(first.policies[0]).not.toHaveProperty('rewardDeviation');
  const markdown = (await store.reports.read('evaluation-of-both', reportFiles.markdown)).toString('utf8');
  const { reward = NaN, rewardDeviation = NaN } = both.policies[0];
  expect(markdown).toContain(`| ${reward.toFixed(2)} ± ${rewardDeviation.toFixed(2)} |`);
});
