import { type ErrorBody } from '@pavlov/contracts';
import { startTestRedis, type TestRedis } from '@pavlov/testing';
import { type Harness, openHarness, publishCheckpoint, publishRows } from './fixtures/harness';

/** What this spec expects of an answer: the error without its list of all issues. */
type Expected = Pick<ErrorBody, 'code' | 'field' | 'message' | 'hint' | 'line'>;

/** A pipeline is held to the same as its jobs, though most of what they read does not exist yet. */
describe('a bad pipeline', () => {
  let redis: TestRedis;
  let gateway: Harness;
  const ids = {} as Record<'corpus' | 'demos' | 'prompts' | 'longPrompts' | 'rankings', string>;

  beforeAll(async () => {
    redis = await startTestRedis();
    gateway = await openHarness(redis);
    const { store } = gateway;
    const rows = (kind: Parameters<typeof publishRows>[1]['kind'], list: readonly unknown[]) =>
      publishRows(store, { kind, rows: list });
    const words = (count: number) => Array.from({ length: count }, (_, index) => `qux${index}`).join(' ');
    ids.corpus = await rows('text', [{ text: 'The sky is blue.' }]);
    ids.demos = await rows('demonstrations', [{ prompt: 'How are you?', completion: 'I am fine.' }]);
    ids.prompts = await rows('prompts', [{ prompt: 'Why?', answer: 'blue', category: 'colours' }]);
    ids.longPrompts = await rows('prompts', [{ prompt: words(10) }, { prompt: words(5) }, { prompt: words(12) }]);
    ids.rankings = await rows('rankings', [{ prompt: 'Why?', chosen: 'So.', rejected: 'No.' }]);
    await publishCheckpoint(store, { id: 'sft-1' });
    await publishCheckpoint(store, { id: 'wide-1', width: 32 });
    await publishCheckpoint(store, { id: 'reward-1', kind: 'reward-model', stage: 'reward-modeling' });
  });
  afterAll(async () => {
    await gateway.close();
    await redis.stop();
  });
  afterEach(async () => expect(await gateway.enqueued()).toBe(0));

  const whole = (request: unknown) =>
    gateway.refusal('POST', '/v1/pipelines', {
      body: JSON.stringify(request),
      headers: { 'content-type': 'application/json' },
    });
  const refusal = async (request: unknown) => {
    const body = await whole(request);
    delete body.issues;
    return body;
  };
  const simulated = { kind: 'simulated', oracle: 'demo-world' };
  const pipeline = () => ({
    pretraining: { dataset: ids.corpus },
    sft: { dataset: ids.demos },
    feedback: { labeller: simulated, prompts: ids.prompts },
    'reward-modeling': {},
    ppo: { prompts: ids.prompts },
  });

  it.each<[string, () => unknown, () => Expected]>([
    [
      'a planned value network of another width',
      () => ({
        pretraining: { dataset: ids.corpus, model: { width: 64 } },
        sft: { dataset: ids.demos },
        ppo: { prompts: ids.prompts, reward: 'reward-1' },
      }),
      () => ({
        code: 'TOKENIZER_MISMATCH', // a policy that is still to be pretrained has a tokenizer of its own
        field: 'stages.ppo.reward',
        message: expect.stringContaining('their tokenizers differ') as string,
        hint: 'Use models that descend from the same pretrained one.',
      }),
    ],
    [
      'a reward model that descends from another policy than PPO starts from',
      () => ({
        'reward-modeling': { policy: 'sft-1', rankings: ids.rankings },
        ppo: { policy: 'wide-1', prompts: ids.prompts },
      }),
      () => ({
        code: 'MODEL_MISMATCH',
        field: 'stages.ppo.reward',
        message: expect.stringMatching(
          /^The value network starts from “reward-modeling-\w+”, which is 16 wide; the policy “wide-1” is 32 wide\.$/,
        ) as string,
        hint: 'Set `valueStart` to `"policy"`, or give a reward model that is 32 wide.',
      }),
    ],
    [
      'caps that overflow the context of a planned policy',
      () => ({ ...pipeline(), ppo: { prompts: ids.prompts, maxPromptTokens: 40 } }),
      () => ({
        code: 'SEQUENCE_TOO_LONG',
        field: 'stages.ppo.maxPromptTokens',
        message: expect.stringMatching(/of “sft-\w+”, which holds 64/) as string,
        hint: 'Lower maxPromptTokens to 32, or maxNewTokens to 24, or use models with a longer context.',
      }),
    ],
    [
      'prompts that no tokenizer could make short enough',
      () => ({ ...pipeline(), ppo: { prompts: ids.longPrompts, maxPromptTokens: 4 } }),
      () => ({
        code: 'DATASET_EMPTY',
        field: 'stages.ppo.maxPromptTokens',
        message: expect.stringMatching(/has at most 4 tokens: the shortest, on line 2, has at least 10\.$/) as string,
        hint: 'Raise maxPromptTokens, or give shorter prompts.',
      }),
    ],
    [
      'pessimism about a planned single reward model',
      () => ({ ...pipeline(), ppo: { prompts: ids.prompts, pessimism: 0.5 } }),
      () => ({
        code: 'CONFIG_CONFLICT',
        field: 'stages.ppo.pessimism',
        message: expect.stringMatching(/“reward-modeling-\w+” is a single reward model/) as string,
        hint: 'Train an ensemble (reward-modeling’s `seeds` and `keep`), or leave it out.',
      }),
    ],
    [
      'a warm-up on planned rankings that does not end',
      () => ({ ...pipeline(), 'reward-modeling': { warmupSteps: 5 } }),
      () => ({
        code: 'CONFIG_CONFLICT',
        field: 'stages.reward-modeling.warmupSteps',
        message: 'The warm-up of 5 steps would not end: 1 rows in batches of 16, 1 times, make 1 steps at most.',
        hint: 'Give 0, or train longer.',
      }),
    ],
    [
      'a ptx coefficient without pretraining data',
      () => ({ ...pipeline(), ppo: { prompts: ids.prompts, ptx: { coefficient: 27.8 } } }),
      () => ({
        code: 'INVALID_REQUEST',
        field: 'stages.ppo.ptx.dataset',
        message:
          'PPO-ptx needs a dataset of text, such as the pretraining corpus: without it there is nothing to mix in.',
        hint: 'Give a string. Dataset of kind `text`, whose gradients are mixed in.',
      }),
    ],
    [
      'no reward, where the pipeline makes none',
      () => ({ ppo: { policy: 'sft-1', prompts: ids.prompts } }),
      () => ({
        code: 'MISSING_INPUT',
        field: 'stages.ppo.reward',
        message: 'ppo needs `reward`, and this pipeline makes none.',
        hint: 'Add the stage reward-modeling to the pipeline, or give the id of what reward-modeling would have made.',
      }),
    ],
  ])('%s', async (...[, stages, expected]) => {
    expect(await refusal({ stages: stages() })).toEqual(expected());
  });

  it('is refused once for all rounds', async () => {
    const stages = { ...pipeline(), ppo: { prompts: ids.longPrompts, maxNewTokens: 48 } };
    const body = await whole({ rounds: 3, stages: { ...stages, sft: { dataset: ids.demos } } });
    expect(body).toMatchObject({ code: 'SEQUENCE_TOO_LONG', field: 'stages.ppo.prompts', line: 3 });
    expect(body).not.toHaveProperty('issues');
  });

  it('without feedback has no rounds', async () => {
    const stages = { 'reward-modeling': { policy: 'sft-1' }, ppo: { policy: 'sft-1', prompts: ids.prompts } };
    expect(await refusal({ rounds: 2, stages })).toEqual({
      code: 'CONFIG_CONFLICT',
      field: 'rounds',
      message: 'Each round runs feedback, reward-modeling, ppo; this pipeline lacks feedback.',
      hint: 'Add `stages.feedback`, or leave `rounds` out.',
    });
  });

  it('with a file of rankings has no rounds', async () => {
    const stages = { ...pipeline(), feedback: { labeller: { kind: 'import', dataset: ids.rankings } } };
    expect(await refusal({ rounds: 2, stages })).toEqual({
      code: 'CONFIG_CONFLICT',
      field: 'stages.feedback.labeller.kind',
      message: 'A file holds the same rankings in every round.',
      hint: 'Use a labeller that ranks each round’s new answers, and give the file’s rankings as `stages.reward-modeling.earlierRankings`; or leave `rounds` out.',
    });
  });
});
