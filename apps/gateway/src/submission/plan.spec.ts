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
const refusal = (stages: Record<string, unknown>) => {
  try {
    plan(stages);
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
