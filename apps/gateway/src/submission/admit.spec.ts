import { openStore, type Store } from '@pavlov/checkpoint-store';
import { jobRequest, PavlovError, pipelineRequest } from '@pavlov/contracts';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publishCheckpoint, publishRows } from '../fixtures/harness';
import { type Admission, createAdmission } from './admit';
import { planJob, planPipeline } from './plan';

const words = (count: number): string => Array.from({ length: count }, (_, index) => `word${index}`).join(' ');
const prompts = (lengths: readonly number[]) =>
  lengths.map((length) => ({ prompt: words(length), answer: 'blue', category: 'colours' }));

describe('admission', () => {
  let root: string;
  let store: Store;
  let admission: Admission;
  const ids = {} as Record<
    'corpus' | 'demos' | 'prompts' | 'unanswered' | 'longPrompts' | 'longDemos' | 'longRankings' | 'rankings' | 'chat',
    string
  >;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'pavlov-admit-'));
    store = openStore({ root });
    admission = createAdmission(store, async () => [{ name: 'demo-world' }]);
    const rows = (kind: Parameters<typeof publishRows>[1]['kind'], list: readonly unknown[]) =>
      publishRows(store, { kind, rows: list });
    ids.corpus = await rows('text', [{ text: words(500) }]);
    ids.demos = await rows('demonstrations', [{ prompt: 'How are you?', completion: 'I am fine.' }]);
    ids.prompts = await rows('prompts', prompts([2, 3]));
    ids.unanswered = await rows('prompts', [...prompts([1, 2]), { prompt: 'Why?' }]);
    ids.longPrompts = await rows('prompts', prompts([1, 60, 2]));
    ids.longDemos = await rows('demonstrations', [
      { prompt: 'a', completion: 'b' },
      { prompt: words(40), completion: words(40) },
    ]);
    ids.chat = await rows('demonstrations', [
      {
        messages: [
          { role: 'user', content: words(40) },
          { role: 'assistant', content: words(40) },
        ],
      },
    ]);
    ids.rankings = await rows('rankings', [{ prompt: 'a', chosen: 'b', rejected: 'c' }]);
    ids.longRankings = await rows('rankings', [{ prompt: 'a', chosen: 'b', rejected: words(80) }]);
    await publishCheckpoint(store, { id: 'sft-1' });
    await publishCheckpoint(store, { id: 'narrow-1', contextLength: 16 });
    await publishCheckpoint(store, { id: 'reward-1', kind: 'reward-model', stage: 'reward-modeling' });
    await publishCheckpoint(store, {
      id: 'stranger-1',
      kind: 'reward-model',
      stage: 'reward-modeling',
      vocabSize: 290,
    });
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  const refused = async (admitted: () => Promise<unknown>) => {
    const error: unknown = await admitted().catch((thrown: unknown) => thrown);
    if (error instanceof PavlovError) return error.body;
    throw new Error(`it was admitted: ${JSON.stringify(error)}`);
  };
  const job = (stage: string, config: unknown) => async () =>
    admission.admit(planJob(jobRequest.parse({ stage, config }), 'xyz'));
  const pipeline =
    (stages: unknown, rest = {}) =>
    async () =>
      admission.admit(planPipeline(pipelineRequest.parse({ stages, ...rest }), 'xyz'));

  const simulated = { kind: 'simulated', oracle: 'demo-world' };
  const ppo = () => ({ policy: 'sft-1', reward: 'reward-1', prompts: ids.prompts, maxNewTokens: 8 });
  const whole = () => ({
    pretraining: { dataset: ids.corpus },
    sft: { dataset: ids.demos },
    feedback: { labeller: simulated, prompts: ids.prompts },
    'reward-modeling': { demonstrations: ids.demos },
    ppo: { prompts: ids.prompts },
    evaluation: { prompts: ids.prompts, oracle: 'demo-world' },
  });

  it('admits jobs whose inputs exist and fit, and gives their payloads', async () => {
    const [payload] = await job('ppo', ppo())();
    expect(payload).toMatchObject({ jobId: 'ppo-xyz', config: { policy: 'sft-1', klCoefficient: 0.02 } });
  });

  it('admits a whole pipeline, whose later stages read what does not exist yet', async () => {
    expect(await pipeline(whole())()).toHaveLength(6);
  });

  it('admits a pipeline in rounds, whose policies answer what the next reward model learns', async () => {
    expect(await pipeline(whole(), { rounds: 3 })()).toHaveLength(12);
  });

  it('knows everything that a planned job leaves', async () => {
    const evaluating = (checkpoint: string) => ({ policies: [{ name: 'a', checkpoint }], prompts: ids.prompts });
    const averaged = { ...whole(), evaluation: evaluating('ppo-xyz-ema') };
    expect(await pipeline(averaged)()).toHaveLength(6);
    expect(await refused(pipeline({ ...averaged, ppo: { prompts: ids.prompts, averageDecay: null } }))).toMatchObject({
      code: 'CHECKPOINT_NOT_FOUND',
      field: 'stages.evaluation.policies.0.checkpoint',
    });
    expect(await refused(pipeline({ ...averaged, evaluation: evaluating('reward-modeling-xyz') }))).toMatchObject({
      code: 'CHECKPOINT_WRONG_KIND',
    });
    const later = { ...whole(), evaluation: evaluating('ppo-xyz-r2-ema') };
    expect(await pipeline(later, { rounds: 2 })()).toHaveLength(9);
    expect(await refused(pipeline(later))).toMatchObject({ code: 'CHECKPOINT_NOT_FOUND' });
  });

  it('checks the second round, which reads what the first makes', async () => {
    const stages = {
      feedback: { policy: 'sft-1', labeller: simulated, prompts: ids.prompts, maxNewTokens: 32 },
      'reward-modeling': { policy: 'sft-1' },
      ppo: { policy: 'narrow-1', prompts: ids.prompts, maxNewTokens: 4 },
    };
    expect(await refused(pipeline(stages, { rounds: 2 }))).toMatchObject({
      code: 'SEQUENCE_TOO_LONG',
      field: 'stages.feedback.prompts',
      message: expect.stringContaining('the context of “ppo-xyz” holds 16'),
    });
    expect(await pipeline(stages)()).toHaveLength(3);
  });

  it('admits evaluations that compare models of different tokenizers by an oracle alone', async () => {
    await publishCheckpoint(store, { id: 'foreign-1', vocabSize: 290 });
    const policies = [
      { name: 'a', checkpoint: 'sft-1' },
      { name: 'b', checkpoint: 'foreign-1' },
    ];
    await expect(job('evaluation', { policies, prompts: ids.prompts, oracle: 'demo-world' })()).resolves.toHaveLength(
      1,
    );
    expect(await refused(job('evaluation', { policies, prompts: ids.prompts, reference: 'sft-1' }))).toMatchObject({
      code: 'TOKENIZER_MISMATCH',
      field: 'config.reference',
    });
  });

  it('names every input that is not there', async () => {
    const body = await refused(job('ppo', { ...ppo(), policy: 'gone-1', prompts: 'gone-2' }));
    expect(body).toMatchObject({ code: 'CHECKPOINT_NOT_FOUND', field: 'config.policy' });
    expect(body.issues).toEqual([
      { field: 'config.policy', message: 'There is no checkpoint “gone-1”.' },
      { field: 'config.prompts', message: 'There is no dataset “gone-2”.' },
    ]);
  });

  it.each([
    ['CHECKPOINT_WRONG_KIND', 'config.policy', () => ({ ...ppo(), policy: 'reward-1' })],
    ['CHECKPOINT_WRONG_KIND', 'config.reward', () => ({ ...ppo(), reward: 'sft-1' })],
    ['CHECKPOINT_WRONG_KIND', 'config.policy', () => ({ ...ppo(), policy: ids.prompts })],
    ['DATASET_WRONG_KIND', 'config.prompts', () => ({ ...ppo(), prompts: ids.demos })],
    ['DATASET_WRONG_KIND', 'config.prompts', () => ({ ...ppo(), prompts: 'sft-1' })],
    ['DATASET_WRONG_KIND', 'config.ptx.dataset', () => ({ ...ppo(), ptx: { dataset: ids.prompts } })],
    ['TOKENIZER_MISMATCH', 'config.reward', () => ({ ...ppo(), reward: 'stranger-1' })],
  ])('refuses with %s an input of another kind at %s', async (...[code, field, config]) => {
    expect(await refused(job('ppo', config()))).toMatchObject({ code, field });
  });

  it('finds a planned reward model in another tokenizer than a given policy', async () => {
    const body = await refused(pipeline({ ...whole(), ppo: { prompts: ids.prompts, policy: 'sft-1' } }));
    expect(body).toMatchObject({ code: 'TOKENIZER_MISMATCH', field: 'stages.ppo.reward' });
  });

  it('does not take the output of a later stage for an input', async () => {
    expect(await refused(pipeline({ ...whole(), sft: { dataset: ids.demos, policy: 'ppo-xyz' } }))).toMatchObject({
      code: 'CHECKPOINT_NOT_FOUND',
      field: 'stages.sft.policy',
    });
  });

  it('refuses a dataset without rows', async () => {
    await store.datasets.publish({
      manifest: { id: 'empty-1', kind: 'prompts', name: 'empty', rows: 0, bytes: 0, sha256: '', statistics: {} },
      files: { 'data.jsonl': '' },
    });
    expect(await refused(job('ppo', { ...ppo(), prompts: 'empty-1' }))).toMatchObject({
      code: 'DATASET_EMPTY',
      field: 'config.prompts',
    });
  });

  it('wants every prompt that an oracle grades to be one that the oracle knows', async () => {
    const foreign = await publishRows(store, {
      kind: 'prompts',
      rows: [...prompts([1]), { prompt: 'Who?', answer: 'me', category: 'riddles' }],
    });
    const body = await refused(job('feedback', { policy: 'sft-1', labeller: simulated, prompts: foreign }));
    expect(body).toMatchObject({ code: 'DATASET_INVALID_ROW', field: 'config.prompts', line: 2 });
    expect(body.message).toContain('“riddles”');
  });

  it('wants an answer of every prompt that an oracle grades', async () => {
    const feedback = { policy: 'sft-1', labeller: simulated, prompts: ids.unanswered };
    expect(await refused(job('feedback', feedback))).toMatchObject({
      code: 'DATASET_INVALID_ROW',
      field: 'config.prompts',
      line: 3,
    });
    const evaluation = { policies: [{ name: 'a', checkpoint: 'sft-1' }], prompts: ids.unanswered };
    expect(await refused(job('evaluation', { ...evaluation, oracle: 'demo-world' }))).toMatchObject({
      code: 'DATASET_INVALID_ROW',
      line: 3,
    });
    await expect(job('evaluation', evaluation)()).resolves.toHaveLength(1);
    await expect(job('evaluation', { ...evaluation, oracle: 'demo-world', maxPrompts: 2 })()).resolves.toHaveLength(1);
  });

  it.each<[string, string, () => unknown, number]>([
    ['sft', 'dataset', () => ({ policy: 'sft-1', dataset: ids.longDemos }), 2],
    ['sft', 'dataset', () => ({ policy: 'sft-1', dataset: ids.chat }), 1],
    ['feedback', 'prompts', () => ({ policy: 'sft-1', labeller: simulated, prompts: ids.longPrompts }), 2],
    ['reward-modeling', 'rankings', () => ({ policy: 'sft-1', rankings: ids.longRankings }), 1],
    [
      'reward-modeling',
      'demonstrations',
      () => ({ policy: 'sft-1', rankings: ids.rankings, demonstrations: ids.longDemos }),
      2,
    ],
    ['ppo', 'prompts', () => ({ ...ppo(), prompts: ids.longPrompts }), 2],
    ['evaluation', 'prompts', () => ({ policies: [{ name: 'a', checkpoint: 'sft-1' }], prompts: ids.longPrompts }), 2],
  ])('names the line that is too long for %s in %s (%#)', async (...[stage, field, config, line]) => {
    expect(await refused(job(stage, config()))).toMatchObject({
      code: 'SEQUENCE_TOO_LONG',
      field: `config.${field}`,
      line,
    });
  });

  it('counts exactly with the tokenizer of the checkpoint, new tokens included', async () => {
    const body = await refused(job('ppo', { ...ppo(), maxNewTokens: 64 }));
    const tokens = Number(/has (\d+) tokens/.exec(body.message)?.[1]);
    expect(body.message).toContain(
      `Line 2 of the dataset “${ids.prompts}” has ${tokens} tokens, and 64 new ones are to follow; the context of “sft-1” holds 64.`,
    );
    await expect(job('ppo', { ...ppo(), maxNewTokens: 64 - tokens })()).resolves.toHaveLength(1);
    expect(await refused(job('ppo', { ...ppo(), maxNewTokens: 65 - tokens }))).toMatchObject({
      hint: expect.stringContaining(`lower maxNewTokens, to ${64 - tokens} for this row`),
    });
  });

  it('heeds the narrowest of the models that read a sequence', async () => {
    const policies = [
      { name: 'a', checkpoint: 'sft-1' },
      { name: 'b', checkpoint: 'narrow-1' },
    ];
    expect(await refused(job('evaluation', { policies, prompts: ids.prompts, maxNewTokens: 8 }))).toMatchObject({
      code: 'SEQUENCE_TOO_LONG',
      message: expect.stringContaining('the context of “narrow-1” holds 16'),
    });
  });

  it('looks only at the prompts that an evaluation uses', async () => {
    const evaluation = { policies: [{ name: 'a', checkpoint: 'sft-1' }], prompts: ids.longPrompts };
    await expect(job('evaluation', { ...evaluation, maxPrompts: 1 })()).resolves.toHaveLength(1);
  });

  it('refuses by a lower bound where the tokenizer is still to be trained', async () => {
    const body = await refused(pipeline({ ...whole(), sft: { dataset: ids.longDemos } }));
    expect(body).toMatchObject({ code: 'SEQUENCE_TOO_LONG', field: 'stages.sft.dataset', line: 2 });
    expect(body.message).toContain('at least');
  });

  it('follows rankings of a pipeline to what they are made from', async () => {
    const stages = {
      feedback: { policy: 'sft-1', labeller: simulated, prompts: ids.prompts, maxNewTokens: 16 },
      'reward-modeling': { policy: 'narrow-1' },
    };
    expect(await refused(pipeline(stages))).toMatchObject({
      code: 'SEQUENCE_TOO_LONG',
      field: 'stages.reward-modeling.rankings',
    });
    const imported = {
      feedback: { labeller: { kind: 'import', dataset: ids.longRankings } },
      'reward-modeling': { policy: 'sft-1' },
    };
    expect(await refused(pipeline(imported))).toMatchObject({
      code: 'SEQUENCE_TOO_LONG',
      field: 'stages.reward-modeling.rankings',
      line: 1,
    });
  });
});
