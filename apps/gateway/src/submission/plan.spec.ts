import {
  inputsOf,
  jobRequest,
  type PavlovError,
  pipelineRequest,
  type StageConfigs,
  type StageName,
} from '@pavlov/contracts';
import { planJob, planPipeline } from './plan';

const everything = {
  pretraining: { dataset: 'corpus-1' },
  sft: { dataset: 'demos-1' },
  feedback: { labeller: { kind: 'simulated', oracle: 'demo-world' }, prompts: 'asked-1' },
  'reward-modeling': {},
  ppo: { prompts: 'asked-1' },
  evaluation: { prompts: 'test-1' },
} as const;

const plan = (stages: Record<string, unknown>, rest = {}) =>
  planPipeline(pipelineRequest.parse({ stages, ...rest }), 'xyz');
const configOf = <S extends StageName>(planned: ReturnType<typeof plan>, stage: S): StageConfigs[S] =>
  planned.find(({ payload }) => payload.stage === stage)?.payload.config as StageConfigs[S];
const refusal = (stages: Record<string, unknown>, rest = {}) => {
  try {
    plan(stages, rest);
  } catch (error) {
    return (error as PavlovError).body;
  }
  throw new Error('it was planned');
};

describe('planPipeline', () => {
  it('puts the stages in their order, whatever the order of the request', () => {
    const planned = plan(Object.fromEntries(Object.entries(everything).reverse()));
    expect(planned.map(({ payload }) => payload.jobId)).toEqual([
      'pretraining-xyz',
      'sft-xyz',
      'feedback-xyz',
      'reward-modeling-xyz',
      'ppo-xyz',
      'evaluation-xyz',
    ]);
  });

  it('links every stage to what earlier ones make', () => {
    const planned = plan(everything);
    expect(configOf(planned, 'sft').policy).toBe('pretraining-xyz');
    expect(configOf(planned, 'feedback').policy).toBe('sft-xyz');
    expect(configOf(planned, 'reward-modeling')).toMatchObject({ policy: 'sft-xyz', rankings: 'feedback-xyz' });
    expect(configOf(planned, 'ppo')).toMatchObject({ policy: 'sft-xyz', reward: 'reward-modeling-xyz' });
    expect(configOf(planned, 'evaluation')).toMatchObject({
      policies: [
        { name: 'pretrained', checkpoint: 'pretraining-xyz' },
        { name: 'sft', checkpoint: 'sft-xyz' },
        { name: 'ppo', checkpoint: 'ppo-xyz' },
      ],
      reference: 'sft-xyz',
      reward: 'reward-modeling-xyz',
    });
  });

  it('gives every job the seed, the pipeline and its place in the request', () => {
    for (const { payload, field } of plan(everything, { seed: 7, name: 'first' })) {
      expect(payload).toMatchObject({ seed: 7, name: 'first', pipelineId: 'pipeline-xyz' });
      expect(field).toBe(`stages.${payload.stage}`);
    }
  });

  it('lets an id that is given win', () => {
    const planned = plan({
      ...everything,
      ppo: { prompts: 'asked-1', policy: 'older-1' },
      evaluation: { prompts: 'test-1', policies: [{ name: 'mine', checkpoint: 'mine-1' }] },
    });
    expect(configOf(planned, 'ppo')).toMatchObject({ policy: 'older-1', reward: 'reward-modeling-xyz' });
    expect(configOf(planned, 'evaluation').policies).toEqual([{ name: 'mine', checkpoint: 'mine-1' }]);
  });

  it('keeps an import from depending on a policy that it does not use', () => {
    const planned = plan({ ...everything, feedback: { labeller: { kind: 'import', dataset: 'ranked-1' } } });
    expect(inputsOf.feedback(configOf(planned, 'feedback'))).toEqual([
      { field: 'labeller.dataset', id: 'ranked-1', kind: 'rankings' },
    ]);
    expect(configOf(planned, 'feedback').policy).toBeUndefined();
  });

  it.each([
    [{ sft: { dataset: 'demos-1', policy: 'base-1' } }, ['sft']],
    [
      { 'reward-modeling': { policy: 'sft-1', rankings: 'ranked-1' }, ppo: { prompts: 'asked-1', policy: 'sft-1' } },
      ['reward-modeling', 'ppo'],
    ],
    [
      { sft: { dataset: 'demos-1', policy: 'base-1' }, ppo: { prompts: 'asked-1', reward: 'reward-1' } },
      ['sft', 'ppo'],
    ],
  ])('runs a part of the way from given ids (%#)', (stages, expected) => {
    expect(plan(stages).map(({ payload }) => payload.stage)).toEqual(expected);
  });

  it.each([
    [{ sft: { dataset: 'demos-1' } }, ['stages.sft.policy']],
    [
      { feedback: { labeller: { kind: 'simulated', oracle: 'demo-world' }, prompts: 'asked-1' } },
      ['stages.feedback.policy'],
    ],
    [{ ppo: { prompts: 'asked-1' } }, ['stages.ppo.policy', 'stages.ppo.reward']],
    [{ sft: { dataset: 'demos-1', policy: 'base-1' }, 'reward-modeling': {} }, ['stages.reward-modeling.rankings']],
    [{ evaluation: { prompts: 'test-1' } }, ['stages.evaluation.policies']],
  ])('names each input that nothing makes (%#)', (stages, fields) => {
    const body = refusal(stages);
    expect(body).toMatchObject({ code: 'MISSING_INPUT', field: fields[0] });
    expect(body.issues?.map(({ field }) => field) ?? [body.field]).toEqual(fields);
  });

  it('looks at rules across fields even where a link is missing', () => {
    const body = refusal({ ppo: { prompts: 'asked-1', batchSize: 30, minibatchSize: 20 } });
    expect(body.issues?.map(({ field }) => field).sort()).toEqual([
      'stages.ppo.minibatchSize',
      'stages.ppo.policy',
      'stages.ppo.reward',
    ]);
  });

  it('checks rules across fields with the links filled in', () => {
    const winRate = { challenger: 'ppo', baseline: 'sft' };
    expect(() => plan({ ...everything, evaluation: { prompts: 'test-1', winRate } })).not.toThrow();
    expect(
      refusal({ ...everything, evaluation: { prompts: 'test-1', winRate: { ...winRate, challenger: 'pop' } } }),
    ).toMatchObject({
      code: 'INVALID_REQUEST',
      field: 'stages.evaluation.winRate.challenger',
    });
    expect(refusal({ ...everything, ppo: { prompts: 'asked-1', batchSize: 30, minibatchSize: 20 } })).toMatchObject({
      code: 'INVALID_REQUEST',
      field: 'stages.ppo.minibatchSize',
    });
  });
});

describe('planPipeline in rounds', () => {
  const last = (planned: ReturnType<typeof plan>, id: string) =>
    planned.find(({ payload }) => payload.jobId === id)?.payload;

  it('repeats feedback, reward-modeling and ppo between what comes before and the evaluation', () => {
    const planned = plan(everything, { rounds: 3, seed: 7 });
    expect(planned.map(({ payload: { jobId, round, seed } }) => [jobId, round, seed])).toEqual([
      ['pretraining-xyz', undefined, 7],
      ['sft-xyz', undefined, 7],
      ['feedback-xyz', 1, 7],
      ['reward-modeling-xyz', 1, 7],
      ['ppo-xyz', 1, 7],
      ['feedback-xyz-r2', 2, 8],
      ['reward-modeling-xyz-r2', 2, 8],
      ['ppo-xyz-r2', 2, 8],
      ['feedback-xyz-r3', 3, 9],
      ['reward-modeling-xyz-r3', 3, 9],
      ['ppo-xyz-r3', 3, 9],
      ['evaluation-xyz', undefined, 7],
    ]);
    for (const { payload, field } of planned) expect(field).toBe(`stages.${payload.stage}`);
  });

  it('asks the last policy, learns all rankings so far, and starts again from the SFT policy', () => {
    const stages = { ...everything, 'reward-modeling': { earlierRankings: ['ranked-1'] } };
    const planned = plan(stages, { rounds: 3 });
    expect(['feedback-xyz', 'feedback-xyz-r2', 'feedback-xyz-r3'].map((id) => last(planned, id)?.config)).toEqual([
      expect.objectContaining({ policy: 'sft-xyz' }),
      expect.objectContaining({ policy: 'ppo-xyz' }),
      expect.objectContaining({ policy: 'ppo-xyz-r2' }),
    ]);
    expect(last(planned, 'reward-modeling-xyz')?.config).toMatchObject({
      policy: 'sft-xyz',
      rankings: 'feedback-xyz',
      earlierRankings: ['ranked-1'],
    });
    expect(last(planned, 'reward-modeling-xyz-r3')?.config).toMatchObject({
      policy: 'sft-xyz',
      rankings: 'feedback-xyz-r3',
      earlierRankings: ['ranked-1', 'feedback-xyz', 'feedback-xyz-r2'],
    });
    expect(last(planned, 'ppo-xyz-r3')?.config).toMatchObject({ policy: 'sft-xyz', reward: 'reward-modeling-xyz-r3' });
  });

  it('compares the policies of all rounds under the last reward model', () => {
    const winRate = { challenger: 'ppo', baseline: 'ppo-round-1' };
    const planned = plan({ ...everything, evaluation: { prompts: 'test-1', winRate } }, { rounds: 3 });
    expect(configOf(planned, 'evaluation')).toMatchObject({
      policies: [
        { name: 'pretrained', checkpoint: 'pretraining-xyz' },
        { name: 'sft', checkpoint: 'sft-xyz' },
        { name: 'ppo-round-1', checkpoint: 'ppo-xyz' },
        { name: 'ppo-round-2', checkpoint: 'ppo-xyz-r2' },
        { name: 'ppo', checkpoint: 'ppo-xyz-r3' },
      ],
      reference: 'sft-xyz',
      reward: 'reward-modeling-xyz-r3',
    });
  });

  it('has room for the most rounds that there may be', () => {
    const planned = plan(everything, { rounds: 20 });
    expect(planned).toHaveLength(2 + 3 * 20 + 1);
    expect(configOf(planned, 'evaluation').policies).toHaveLength(22);
  });

  it('takes given ids for the start of every round, and feedback’s for the first', () => {
    const given = { feedback: { ...everything.feedback, policy: 'mine-1' }, 'reward-modeling': { policy: 'mine-2' } };
    const planned = plan({ ...given, ppo: { prompts: 'asked-1', policy: 'mine-3' } }, { rounds: 2 });
    expect(planned.map(({ payload }) => [payload.jobId, (payload.config as { policy: string }).policy])).toEqual([
      ['feedback-xyz', 'mine-1'],
      ['reward-modeling-xyz', 'mine-2'],
      ['ppo-xyz', 'mine-3'],
      ['feedback-xyz-r2', 'ppo-xyz'],
      ['reward-modeling-xyz-r2', 'mine-2'],
      ['ppo-xyz-r2', 'mine-3'],
    ]);
  });

  it('is what a pipeline without rounds is where there is one', () => {
    expect(plan(everything, { rounds: 1 })).toEqual(plan(everything));
    for (const { payload } of plan(everything)) expect(payload).not.toHaveProperty('round');
  });

  it.each([
    [
      'a stage of the loop left out',
      { ...everything, ppo: undefined },
      {},
      'rounds',
      'Each round runs feedback, reward-modeling, ppo; this pipeline lacks ppo.',
      'Add `stages.ppo`, or leave `rounds` out.',
    ],
    [
      'a file of rankings',
      { ...everything, feedback: { labeller: { kind: 'import', dataset: 'ranked-1' } } },
      {},
      'stages.feedback.labeller.kind',
      'A file holds the same rankings in every round.',
      'Use a labeller that ranks each round’s new answers, and give the file’s rankings as `stages.reward-modeling.earlierRankings`; or leave `rounds` out.',
    ],
    [
      'given rankings',
      { ...everything, 'reward-modeling': { rankings: 'ranked-1' } },
      {},
      'stages.reward-modeling.rankings',
      'In rounds, the reward model learns the rankings that the round’s feedback makes.',
      'Give further rankings as `earlierRankings`.',
    ],
    [
      'a given reward model',
      { ...everything, ppo: { prompts: 'asked-1', reward: 'reward-1' } },
      {},
      'stages.ppo.reward',
      'In rounds, PPO’s reward model is the one that the round’s reward-modeling makes.',
      'Leave it out. Another reward model can watch, as `monitor.heldOut`.',
    ],
    [
      'a seed at the end of all seeds',
      everything,
      { seed: Number.MAX_SAFE_INTEGER },
      'seed',
      'The last of 2 rounds would have the seed 9007199254740991 + 1, which is too large.',
      'Give a seed of at most 9007199254740990.',
    ],
  ])('are refused for %s', (...[, stages, rest, field, message, hint]) => {
    expect(refusal(stages, { rounds: 2, ...rest })).toEqual({ code: 'CONFIG_CONFLICT', field, message, hint });
    expect(() => plan(stages, rest)).not.toThrow();
  });

  it('says what is wrong once, not once a round', () => {
    const body = refusal({ ...everything, ppo: { prompts: 'asked-1', minibatchSize: 33 } }, { rounds: 5 });
    expect(body).toMatchObject({ field: 'stages.ppo.minibatchSize' });
    expect(body).not.toHaveProperty('issues');
  });

  it('says all that is wrong in one answer', () => {
    const feedback = { labeller: { kind: 'import', dataset: 'ranked-1' } };
    const body = refusal({ feedback, 'reward-modeling': {}, ppo: { prompts: 'asked-1' } }, { rounds: 2 });
    expect(body.issues?.map(({ field }) => field)).toEqual([
      'stages.feedback.labeller.kind',
      'stages.reward-modeling.policy',
      'stages.ppo.policy',
    ]);
  });
});

describe('planJob', () => {
  it('makes one job of its own', () => {
    const request = jobRequest.parse({ stage: 'sft', config: { policy: 'base-1', dataset: 'demos-1' }, seed: 3 });
    const [{ payload, field }, ...others] = planJob(request, 'xyz');
    expect(others).toEqual([]);
    expect(field).toBe('config');
    expect(payload).toMatchObject({
      jobId: 'sft-xyz',
      stage: 'sft',
      seed: 3,
      config: { policy: 'base-1', epochs: 16 },
    });
    expect(payload).not.toHaveProperty('pipelineId');
  });
});
