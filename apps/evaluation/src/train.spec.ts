import { openStore, type Store } from '@pavlov/checkpoint-store';
import { reportFiles, type EvaluationReport, type Lineage } from '@pavlov/contracts';
import { computesBfloat16 } from '@pavlov/kernels';
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
  await publishRows(store, { id: 'text', kind: 'text', rows: [{ text: 'How many? Three, as everybody says.' }] });
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

type Weights = EvaluationReport['weights'];

const answered = (jobId: string, weights: Weights) =>
  evaluate(jobId, {
    policies: ['decided', 'policy', 'decided'].map((checkpoint, i) => ({ name: `${checkpoint} ${i}`, checkpoint })),
    prompts: 'many-prompts',
    reference: 'policy',
    text: 'text',
    temperature: 1,
    maxNewTokens: 20,
    batchSize: 16,
    samples: 24,
    weights,
  });
const textsOf = ({ samples }: EvaluationReport, policy: number): string[] =>
  samples.map(({ responses }) => responses[policy].text);

/** What fewer bits change, and what they do not. */
async function expectOtherAnswersOnly(weights: Exclude<Weights, 'float32'>): Promise<void> {
  const float32 = await answered(`float32-beside-${weights}`, 'float32');
  const fewer = await answered(`in-${weights}`, weights);
  const again = await answered(`in-${weights}-again`, weights);
  expect(textsOf(fewer, 0)).not.toEqual(textsOf(float32, 0));
  expect(textsOf(fewer, 0)).not.toEqual(textsOf(fewer, 1));
  expect(textsOf(fewer, 2)).toEqual(textsOf(fewer, 0));
  expect(again.samples).toEqual(fewer.samples);
  expect([float32.weights, fewer.weights]).toEqual(['float32', weights]);
  // KL and perplexity are those of the policies themselves.
  const figures = ({ policies }: EvaluationReport) =>
    policies.map(({ klToReference, perplexity }) => ({ klToReference, perplexity }));
  expect(figures(fewer)).toEqual(figures(float32));
  expect(fewer.policies[1].klToReference).toBe(0);
}

describe('with weights in 8 bits', () => {
  it('other answers are given, the same for the same seed, each policy’s own', () => expectOtherAnswersOnly('int8'));

  it('there are no other numbers of bits', async () => {
    await expect(evaluate('in-int4', { weights: 'int4' })).rejects.toThrow('weights');
  });
});

describe('in bfloat16', () => {
  if (computesBfloat16()) {
    it('other answers are given, the same for the same seed, each policy’s own', () =>
      expectOtherAnswersOnly('bfloat16'));

    it('rewards of the same answers are the same', async () => {
      const rewardsOf = async (weights: Weights) => {
        const policies = [{ name: 'decided', checkpoint: 'decided' }];
        const likeliest = { temperature: 0, maxNewTokens: 1, samples: 24 };
        const options = { policies, prompts: 'many-prompts', reward: 'first', ...likeliest, weights };
        return (await evaluate(`rewards-in-${weights}`, options)).samples;
      };
      expect(await rewardsOf('bfloat16')).toEqual(await rewardsOf('float32'));
    });

    it('the report says so', async () => {
      await evaluate('said', { weights: 'bfloat16' });
      const markdown = (await store.reports.read('said', reportFiles.markdown)).toString('utf8');
      expect(markdown).toContain('answers sampled at temperature 0.7 in bfloat16, seed 1.');
    });
  } else
    it('nothing is evaluated on this machine, whose processor cannot', async () => {
      await expect(evaluate('refused', { weights: 'bfloat16' })).rejects.toMatchObject({
        code: 'PRECISION_UNAVAILABLE',
        body: { field: 'weights' },
      });
    });
});
