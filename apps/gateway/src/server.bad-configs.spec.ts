import { type ErrorBody } from '@pavlov/contracts';
import { startTestRedis, type TestRedis } from '@pavlov/testing';
import { type Harness, openHarness, publishCheckpoint, publishRows } from './fixtures/harness';

/** What this spec expects of an answer: the error without its list of all issues. */
type Expected = Pick<ErrorBody, 'code' | 'field' | 'message' | 'hint' | 'line'>;

/** Options that are well-formed, and that would train a wrong model or fail hours later: refused, each with its reason. */
describe('a bad configuration', () => {
  let redis: TestRedis;
  let gateway: Harness;
  const ids = {} as Record<
    'corpus' | 'demos' | 'prompts' | 'longPrompts' | 'rankings' | 'longRankings' | 'ties' | 'longQuestions',
    string
  >;

  beforeAll(async () => {
    redis = await startTestRedis();
    gateway = await openHarness(redis);
    const { store } = gateway;
    const rows = (kind: Parameters<typeof publishRows>[1]['kind'], list: readonly unknown[]) =>
      publishRows(store, { kind, rows: list, name: `rows-of-${kind}` });
    const words = (count: number) => Array.from({ length: count }, (_, index) => `qux${index}`).join(' ');
    ids.corpus = await rows('text', [{ text: 'The sky is blue.' }]);
    ids.demos = await rows('demonstrations', [{ prompt: 'How are you?', completion: 'I am fine.' }]);
    ids.prompts = await rows('prompts', [{ prompt: 'Why?', answer: 'blue', category: 'colours' }]);
    ids.longPrompts = await rows('prompts', [{ prompt: words(10) }, { prompt: words(5) }, { prompt: words(12) }]);
    ids.rankings = await rows('rankings', [{ prompt: 'Why?', chosen: 'So.', rejected: 'No.' }]);
    ids.longRankings = await rows('rankings', [{ prompt: 'Why?', chosen: 'So.', rejected: words(60) }]);
    ids.longQuestions = await rows('rankings', [{ prompt: words(9), chosen: 'So.', rejected: 'No.' }]);
    ids.ties = await rows('rankings', [{ prompt: 'Why?', completions: ['So.', 'No.'], ranks: [1, 1] }]);
    const reward = { kind: 'reward-model', stage: 'reward-modeling' } as const;
    await publishCheckpoint(store, { id: 'sft-1' });
    await publishCheckpoint(store, { id: 'reward-1', ...reward });
    await publishCheckpoint(store, { id: 'stranger-1', ...reward, vocabSize: 290 });
    await publishCheckpoint(store, { id: 'wide-1', ...reward, width: 32 });
    await publishCheckpoint(store, { id: 'short-1', ...reward, contextLength: 48 });
  });
  afterAll(async () => {
    await gateway.close();
    await redis.stop();
  });
  afterEach(async () => expect(await gateway.enqueued()).toBe(0));

  const refusal = async (path: string, request: unknown) => {
    const body = await gateway.refusal('POST', path, {
      body: JSON.stringify(request),
      headers: { 'content-type': 'application/json' },
    });
    delete body.issues;
    return body;
  };
  const simulated = { kind: 'simulated', oracle: 'demo-world' };
  const bases = {
    sft: () => ({ policy: 'sft-1', dataset: ids.demos }),
    feedback: () => ({ policy: 'sft-1', prompts: ids.prompts, labeller: simulated }),
    'reward-modeling': () => ({ policy: 'sft-1', rankings: ids.rankings }),
    ppo: () => ({ policy: 'sft-1', reward: 'reward-1', prompts: ids.prompts, maxNewTokens: 8 }),
  };
  const selection = () => ({ reward: 'reward-1', prompts: ids.prompts, maxNewTokens: 8 });
  const heldOut = (checkpoint: string) => ({ monitor: { heldOut: { kind: 'model', checkpoint } } });

  const betaTooLow: Expected = {
    code: 'INVALID_REQUEST',
    field: 'config.klCoefficient',
    message: 'β must be above 0: where leaving the reference costs nothing, PPO learns to fool the reward',
    hint: 'It must be more than 0. β, the price of a nat of KL to the reference; 0.02 in InstructGPT.',
  };
  const clip = (message: string, bound: string): Expected => ({
    code: 'INVALID_REQUEST',
    field: 'config.clipRange',
    message,
    hint: `It must be ${bound}. Clips the probability ratio to 1 ± this.`,
  });
  const clipTooLow = clip('a clip range of 0 or less would allow no step at all', 'more than 0');
  const clipTooHigh = clip(
    'a clip range of 1 or more would allow a probability to fall to 0, which clips nothing',
    'less than 1',
  );
  const answers = (message: string, bound: string): Expected => ({
    code: 'INVALID_REQUEST',
    field: 'config.answersPerPrompt',
    message: `K, the answers ranked together, is 4 to 9: ${message}`,
    hint: `It must be ${bound}. K, the answers ranked together; 4–9 in InstructGPT.`,
  });
  const stranger = (field: string): Expected => ({
    code: 'TOKENIZER_MISMATCH',
    field: `config.${field}`,
    message: '“stranger-1” has to read what “sft-1” writes, but their tokenizers differ.',
    hint: 'Use models that descend from the same pretrained one.',
  });
  const trainedOn = (field: string): Expected => ({
    code: 'INVALID_REQUEST',
    field: `config.monitor.heldOut.${field}`,
    message: 'a held-out judge must not be what PPO is trained on, or it rises with the reward whatever happens',
    hint: 'Name another: a reward model of other rankings or another seed, or a function that is no reward.',
  });

  it.each<[string, keyof typeof bases, () => unknown, () => Expected]>([
    ['β of 0', 'ppo', () => ({ klCoefficient: 0 }), () => betaTooLow],
    ['β below 0', 'ppo', () => ({ klCoefficient: -0.02 }), () => betaTooLow],
    ['a clip range of 0', 'ppo', () => ({ clipRange: 0 }), () => clipTooLow],
    ['a clip range below 0', 'ppo', () => ({ clipRange: -0.2 }), () => clipTooLow],
    ['a clip range of 1', 'ppo', () => ({ clipRange: 1 }), () => clipTooHigh],
    ['a clip range above 1', 'ppo', () => ({ clipRange: 1.5 }), () => clipTooHigh],
    [
      'K of 3',
      'feedback',
      () => ({ answersPerPrompt: 3 }),
      () => answers('fewer make poor use of a labeller’s reading', 'at least 4'),
    ],
    ['K of 10', 'feedback', () => ({ answersPerPrompt: 10 }), () => answers('nobody ranks more reliably', 'at most 9')],
    [
      'K answers that would all be the same',
      'feedback',
      () => ({ temperature: 0 }),
      () => ({
        code: 'INVALID_REQUEST',
        field: 'config.temperature',
        message: 'all answers to a prompt would be the same, and there would be nothing to rank',
        hint: 'Sample: a temperature of 1 shows the labeller what PPO’s rollouts will look like.',
      }),
    ],
    ['a reward model of another tokenizer', 'ppo', () => ({ reward: 'stranger-1' }), () => stranger('reward')],
    [
      'a held-out judge of another tokenizer',
      'ppo',
      () => heldOut('stranger-1'),
      () => stranger('monitor.heldOut.checkpoint'),
    ],
    [
      'a selecting reward model of another tokenizer',
      'sft',
      () => ({ selection: { ...selection(), reward: 'stranger-1' } }),
      () => stranger('selection.reward'),
    ],
    [
      'a selecting model that is no reward model',
      'sft',
      () => ({ selection: { ...selection(), reward: 'sft-1' } }),
      () => ({
        code: 'CHECKPOINT_WRONG_KIND',
        field: 'config.selection.reward',
        message: '`selection.reward` needs a checkpoint of kind reward-model; “sft-1” is of kind policy.',
        hint: 'Name another: GET /v1/checkpoints shows the kind of each.',
      }),
    ],
    [
      'a selection without its reward model',
      'sft',
      () => ({ selection: { prompts: ids.prompts } }),
      () => ({
        code: 'INVALID_REQUEST',
        field: 'config.selection.reward',
        message: 'An epoch is selected by the score of a reward model: name one of an earlier run.',
        hint: 'Give a string. Reward model, from an earlier round, that scores the answers of each epoch.',
      }),
    ],
    [
      'a value network of another width',
      'ppo',
      () => ({ reward: 'wide-1' }),
      () => ({
        code: 'MODEL_MISMATCH',
        field: 'config.reward',
        message: 'The value network starts from “wide-1”, which is 32 wide; the policy “sft-1” is 16 wide.',
        hint: 'Set `valueStart` to `"policy"`, or give a reward model that is 16 wide.',
      }),
    ],
    [
      'a value network that starts from a reward model that is not there',
      'ppo',
      () => ({ reward: undefined, rewardFunctions: [{ kind: 'function', name: 'brevity' }], valueStart: 'reward' }),
      () => ({
        code: 'INVALID_REQUEST',
        field: 'config.valueStart',
        message: 'there is no reward model for the value network to start from',
        hint: 'Give `reward`, or let the value network start from the policy.',
      }),
    ],
    [
      'no reward at all',
      'ppo',
      () => ({ reward: undefined }),
      () => ({
        code: 'INVALID_REQUEST',
        field: 'config.reward',
        message: 'there is no reward: give a reward model, or reward functions',
        hint: 'Give `reward`, the id of a reward model, or at least one of `rewardFunctions`.',
      }),
    ],
    [
      'caps that overflow the context',
      'ppo',
      () => ({ maxPromptTokens: 40, maxNewTokens: 32 }),
      () => ({
        code: 'SEQUENCE_TOO_LONG',
        field: 'config.maxPromptTokens',
        message:
          'Prompts of 40 tokens (maxPromptTokens) with answers of 32 (maxNewTokens) do not fit the context of “sft-1”, which holds 64.',
        hint: 'Lower maxPromptTokens to 32, or maxNewTokens to 24, or use models with a longer context.',
      }),
    ],
    [
      'a cap beyond the context',
      'ppo',
      () => ({ maxPromptTokens: 64, maxNewTokens: 64 }),
      () => ({
        code: 'SEQUENCE_TOO_LONG',
        field: 'config.maxPromptTokens',
        message: expect.stringContaining('which holds 64') as string,
        hint: 'Lower both, or use models with a longer context.',
      }),
    ],
    [
      'caps that overflow the context of the held-out judge',
      'ppo',
      () => ({ ...heldOut('short-1'), maxPromptTokens: 32, maxNewTokens: 32 }),
      () => ({
        code: 'SEQUENCE_TOO_LONG',
        field: 'config.maxPromptTokens',
        message: expect.stringContaining('the context of “short-1”, which holds 48') as string,
        hint: expect.stringContaining('Lower maxPromptTokens to 16, or maxNewTokens to 16') as string,
      }),
    ],
    [
      'prompts that are all longer than their cap',
      'ppo',
      () => ({ prompts: ids.longPrompts, maxPromptTokens: 6 }),
      () => ({
        code: 'DATASET_EMPTY',
        field: 'config.maxPromptTokens',
        message: expect.stringMatching(
          /^No prompt of the dataset “.+” has at most 6 tokens: the shortest, on line 2, has \d+\.$/,
        ) as string,
        hint: 'Raise maxPromptTokens, or give shorter prompts.',
      }),
    ],
    [
      'a prompt that leaves no room for its answer',
      'ppo',
      () => ({ prompts: ids.longPrompts, maxNewTokens: 32 }),
      () => ({
        code: 'SEQUENCE_TOO_LONG',
        field: 'config.prompts',
        line: 3,
        message: expect.stringMatching(
          /has \d+ tokens, and 32 new ones are to follow; the context of “sft-1” holds 64/,
        ) as string,
        hint: expect.stringContaining('leave long prompts out with maxPromptTokens') as string,
      }),
    ],
    [
      'a selection whose answers overflow the context',
      'sft',
      () => ({ selection: { ...selection(), maxNewTokens: 64 } }),
      () => ({
        code: 'SEQUENCE_TOO_LONG',
        field: 'config.selection.prompts',
        line: 1,
        message: expect.stringContaining('and 64 new ones are to follow; the context of “sft-1” holds 64') as string,
        hint: expect.stringContaining('lower maxNewTokens') as string,
      }),
    ],
    [
      'rankings of an earlier round that overflow the context',
      'reward-modeling',
      () => ({ earlierRankings: [ids.longRankings] }),
      () => ({
        code: 'SEQUENCE_TOO_LONG',
        field: 'config.earlierRankings.0',
        line: 1,
        message: expect.stringContaining('the context of “sft-1” holds 64') as string,
        hint: 'Shorten or drop that row, or use a model with a longer context.',
      }),
    ],
    [
      'samples to standardise on that overflow the context',
      'reward-modeling',
      () => ({ rankings: ids.longQuestions, standardise: { maxNewTokens: 40 } }),
      () => ({
        code: 'SEQUENCE_TOO_LONG',
        field: 'config.standardise.maxNewTokens',
        line: 1,
        message: expect.stringContaining('and 40 new ones are to follow; the context of “sft-1” holds 64') as string,
        hint: expect.stringContaining('lower maxNewTokens') as string,
      }),
    ],
    [
      'a ptx coefficient without pretraining data',
      'ppo',
      () => ({ ptx: { coefficient: 27.8 } }),
      () => ({
        code: 'INVALID_REQUEST',
        field: 'config.ptx.dataset',
        message:
          'PPO-ptx needs a dataset of text, such as the pretraining corpus: without it there is nothing to mix in.',
        hint: 'Give a string. Dataset of kind `text`, whose gradients are mixed in.',
      }),
    ],
    ['a held-out judge that is the reward model', 'ppo', () => heldOut('reward-1'), () => trainedOn('checkpoint')],
    [
      'a held-out judge that is a reward function',
      'ppo',
      () => ({
        rewardFunctions: [{ kind: 'function', name: 'brevity' }],
        monitor: { heldOut: { kind: 'function', name: 'brevity' } },
      }),
      () => trainedOn('name'),
    ],
    [
      'a held-out judge that is a rewarding endpoint',
      'ppo',
      () => ({
        rewardFunctions: [{ kind: 'http', url: 'http://judge.example/score' }],
        monitor: { heldOut: { kind: 'http', url: 'http://judge.example/score' } },
      }),
      () => trainedOn('url'),
    ],
    [
      'pessimism about a single reward model',
      'ppo',
      () => ({ pessimism: 1 }),
      () => ({
        code: 'CONFIG_CONFLICT',
        field: 'config.pessimism',
        message: 'It weighs how far the members of an ensemble lie apart; “reward-1” is a single reward model.',
        hint: 'Train an ensemble (reward-modeling’s `seeds` and `keep`), or leave it out.',
      }),
    ],
    [
      'pessimism about no reward model',
      'ppo',
      () => ({ reward: undefined, rewardFunctions: [{ kind: 'function', name: 'brevity' }], pessimism: 1 }),
      () => ({
        code: 'INVALID_REQUEST',
        field: 'config.pessimism',
        message: 'it weighs how far an ensemble’s members lie apart, and there is no reward model',
        hint: 'Give `reward`, an ensemble of reward models, or leave it out.',
      }),
    ],
    [
      'an ensemble of one',
      'reward-modeling',
      () => ({ keep: 'ensemble' }),
      () => ({
        code: 'INVALID_REQUEST',
        field: 'config.seeds',
        message: 'an ensemble needs at least two models',
        hint: 'Raise `seeds`, or leave `keep` out for one model.',
      }),
    ],
    [
      'several models and nothing held out to compare them on',
      'reward-modeling',
      () => ({ seeds: 3, heldOutFraction: 0 }),
      () => ({
        code: 'INVALID_REQUEST',
        field: 'config.heldOutFraction',
        message: 'several models are compared on held-out prompts, so some must be held out',
        hint: 'Hold some out, 0.1 for a tenth of the prompts, or train one model.',
      }),
    ],
    [
      'several models and too few rankings to compare them on',
      'reward-modeling',
      () => ({ seeds: 3 }),
      () => ({
        code: 'CONFIG_CONFLICT',
        field: 'config.heldOutFraction',
        message: '0.1 of 1 rankings is none, so 3 models cannot be compared.',
        hint: 'Raise heldOutFraction, give more rankings, or train one model.',
      }),
    ],
    [
      'two zeros of one reward',
      'reward-modeling',
      () => ({ demonstrations: ids.demos, standardise: {} }),
      () => ({
        code: 'INVALID_REQUEST',
        field: 'config.standardise',
        message: 'only one can say where 0 is: `demonstrations` or `standardise`',
        hint: 'Leave one of the two out.',
      }),
    ],
    [
      'rankings that are all ties',
      'reward-modeling',
      () => ({ rankings: ids.ties }),
      () => ({
        code: 'DATASET_EMPTY',
        field: 'config.rankings',
        message: 'Every ranking is a tie, so there is nothing to learn.',
        hint: 'Give at least one prompt with answers of different rank.',
      }),
    ],
    [
      'a warm-up of SFT that does not end',
      'sft',
      () => ({ epochs: 4, warmupSteps: 4 }),
      () => ({
        code: 'CONFIG_CONFLICT',
        field: 'config.warmupSteps',
        message: 'The warm-up of 4 steps would not end: 1 rows in batches of 32, 4 times, make 4 steps at most.',
        hint: 'Give fewer than 4, or train longer.',
      }),
    ],
    [
      'a warm-up of reward modeling that does not end',
      'reward-modeling',
      () => ({ warmupSteps: 1 }),
      () => ({
        code: 'CONFIG_CONFLICT',
        field: 'config.warmupSteps',
        message: 'The warm-up of 1 steps would not end: 1 rows in batches of 16, 1 times, make 1 steps at most.',
        hint: 'Give 0, or train longer.',
      }),
    ],
  ])('%s', async (...[, stage, change, expected]) => {
    const config = { ...bases[stage](), ...(change() as object) };
    expect(await refusal('/v1/jobs', { stage, config })).toEqual(expected());
  });

  it.each(Object.keys(bases) as (keyof typeof bases)[])('is no other configuration of %s', async (stage) => {
    const { status } = await gateway.post('/v1/jobs', { stage, config: bases[stage]() });
    expect(status).toBe(201);
    await gateway.broker.redis.flushall();
  });

  it.each<[string, keyof typeof bases, () => unknown]>([
    [
      'another width where the value network starts from the policy',
      'ppo',
      () => ({ reward: 'wide-1', valueStart: 'policy' }),
    ],
    ['caps that fill the context', 'ppo', () => ({ maxPromptTokens: 32, maxNewTokens: 32 })],
    ['long prompts of which some are short enough', 'ppo', () => ({ prompts: ids.longPrompts, maxPromptTokens: 56 })],
    ['a warm-up that ends', 'sft', () => ({ epochs: 4, warmupSteps: 3 })],
    ['another judge', 'ppo', () => heldOut('short-1')],
  ])('is not %s', async (...[, stage, change]) => {
    const config = { ...bases[stage](), ...(change() as object) };
    expect((await gateway.post('/v1/jobs', { stage, config })).status).toBe(201);
    await gateway.broker.redis.flushall();
  });
});
