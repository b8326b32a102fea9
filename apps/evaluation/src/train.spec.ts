import { openStore, type Store } from '@pavlov/checkpoint-store';
import { reportFiles, type EvaluationReport, type Lineage } from '@pavlov/contracts';
import { initParameters } from '@pavlov/model';
import { type Parameters } from '@pavlov/tensor';
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
  const publish = async (
    id: string,
    checkpoint: { kind: 'policy' | 'reward-model'; seeds: number[]; change?: (parameters: Parameters) => void },
  ) => {
    const { kind, seeds, change } = checkpoint;
    const members = seeds.map((seed) => initParameters(model, kind === 'policy' ? 'lm' : 'scalar', seed));
    if (change) members.forEach(change);
    await publishCheckpoint(
      { job: { jobId: id }, store, fence: await store.claim(id, 1), lineage: () => Promise.resolve(lineage) },
      { kind, model, parameters: members[0], members, tokenizerFiles, metrics: {} },
    );
  };
  await publish('policy', { kind: 'policy', seeds: [1] });
  await publish('decided', { kind: 'policy', seeds: [4], change: enlarge });
  await publish('first', { kind: 'reward-model', seeds: [2] });
  await publish('second', { kind: 'reward-model', seeds: [3] });
  await publish('both', { kind: 'reward-model', seeds: [2, 3] });
  await publishRows(store, {
    id: 'prompts',
    kind: 'prompts',
    rows: ['How many?', 'Why three?', 'Who says so?'].map((prompt) => ({ prompt })),
  });
  await publishRows(store, {
    id: 'many-prompts',
    kind: 'prompts',
    rows: Array.from({ length: 24 }, (_, i) => ({ prompt: `How many ${i}?` })),
  });
});
afterAll(() => rm(root, { recursive: true }));

/** Makes some tokens much more probable than others. */
function enlarge({ views }: Parameters): void {
  for (const [name, view] of Object.entries(views))
    if (!name.includes('ln_')) view.forEach((value, i) => (view[i] = 40 * value));
}

async function evaluate(jobId: string, options: object): Promise<EvaluationReport> {
  const config = {
    policies: [{ name: 'one', checkpoint: 'policy' }],
    prompts: 'prompts',
    maxNewTokens: 4,
    batchSize: 2,
    ...options,
  };
  await train(await createTrainerContext({ stage: 'evaluation', jobId, config, seed: 1, threads: 1, store }));
  return JSON.parse((await store.reports.read(jobId, reportFiles.json)).toString('utf8')) as EvaluationReport;
}

it('scores with an ensemble: the members’ mean, and how far they lie apart', async () => {
  const scored = (reward: string) => evaluate(`evaluation-of-${reward}`, { reward });
  const [first, second, both] = [await scored('first'), await scored('second'), await scored('both')];
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

describe('with weights in 8 bits', () => {
  const answered = (jobId: string, weights: 'float32' | 'int8') =>
    evaluate(jobId, {
      policies: ['decided', 'policy', 'decided'].map((checkpoint, i) => ({ name: `${checkpoint} ${i}`, checkpoint })),
      prompts: 'many-prompts',
      reference: 'policy',
      temperature: 1,
      maxNewTokens: 20,
      batchSize: 16,
      samples: 24,
      weights,
    });
  const textsOf = ({ samples }: EvaluationReport, policy: number): string[] =>
    samples.map(({ responses }) => responses[policy].text);

  it('other answers are given, the same for the same seed, each policy’s own', async () => {
    const float32 = await answered('in-float32', 'float32');
    const int8 = await answered('in-int8', 'int8');
    const again = await answered('in-int8-again', 'int8');
    expect(textsOf(int8, 0)).not.toEqual(textsOf(float32, 0));
    expect(textsOf(int8, 0)).not.toEqual(textsOf(int8, 1));
    expect(textsOf(int8, 2)).toEqual(textsOf(int8, 0));
    expect(again.samples).toEqual(int8.samples);
    expect([float32.weights, int8.weights]).toEqual(['float32', 'int8']);
    // The KL is that of the policies themselves.
    expect(int8.policies.map(({ klToReference }) => klToReference)).toEqual(
      float32.policies.map(({ klToReference }) => klToReference),
    );
    expect(int8.policies[1].klToReference).toBe(0);
  });

  it('there are no other numbers of bits', async () => {
    await expect(evaluate('in-int4', { weights: 'int4' })).rejects.toThrow('weights');
  });
});
