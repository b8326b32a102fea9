import { jobRequest, pipelineRequest } from '../api/submissions';
import { stageConfigs } from '../catalogue';
import { PavlovError } from '../errors';
import { parseJobPayload } from '../jobs';

/** Of each stage that trains, the least that a config needs. */
const trained = {
  pretraining: { dataset: 'corpus-1' },
  sft: { policy: 'base-1', dataset: 'demos-1' },
  'reward-modeling': { policy: 'sft-1', rankings: 'ranked-1' },
  ppo: { policy: 'sft-1', reward: 'reward-1', prompts: 'prompts-1' },
} as const;
const stages = Object.keys(trained) as (keyof typeof trained)[];

describe('precision', () => {
  it.each(stages)('of %s is float32 unless a job asks for bfloat16', (stage) => {
    const schema = stageConfigs[stage];
    expect(schema.parse(trained[stage]).precision).toBe('float32');
    for (const precision of ['float32', 'bfloat16'])
      expect(schema.parse({ ...trained[stage], precision }).precision).toBe(precision);
    for (const precision of ['float16', 'bf16', 16, null, true]) {
      const issues = schema.safeParse({ ...trained[stage], precision }).error?.issues;
      expect(issues).toMatchObject([{ path: ['precision'] }]);
    }
  });

  it.each(stages)('of %s is float32 in a job that was enqueued before there was the option', (stage) => {
    const { config } = parseJobPayload({ jobId: 'old-1', stage, seed: 1, config: trained[stage] }, stage);
    expect(config.precision).toBe('float32');
  });

  it('travels with a submission and out of the queue', () => {
    const config = { ...trained.sft, precision: 'bfloat16' };
    expect(jobRequest.parse({ stage: 'sft', config })).toMatchObject({ config: { precision: 'bfloat16' } });
    expect(parseJobPayload({ jobId: 'new-1', stage: 'sft', seed: 1, config }, 'sft').config.precision).toBe('bfloat16');
    const pipeline = pipelineRequest.parse({ stages: { pretraining: { dataset: 'corpus-1', precision: 'bfloat16' } } });
    expect(pipeline.stages.pretraining).toMatchObject({ precision: 'bfloat16' });
  });

  it('is no option of stages that do not train', () => {
    const evaluation = { policies: [{ name: 'sft', checkpoint: 'sft-1' }], prompts: 'prompts-1' };
    const feedback = { policy: 'sft-1', prompts: 'prompts-1', labeller: { kind: 'simulated', oracle: 'demo-world' } };
    for (const [schema, config] of [
      [stageConfigs.evaluation, evaluation],
      [stageConfigs.feedback, feedback],
    ] as const) {
      expect(schema.safeParse(config).error).toBeUndefined();
      expect(schema.safeParse({ ...config, precision: 'bfloat16' }).error?.issues).toMatchObject([
        { code: 'unrecognized_keys', keys: ['precision'] },
      ]);
    }
  });
});

it('what a machine cannot compute in is refused for good', () => {
  const error = new PavlovError({
    code: 'PRECISION_UNAVAILABLE',
    message: 'It has no bfloat16.',
    hint: 'Use float32.',
  });
  expect([error.status, error.retryable]).toEqual([422, false]);
});
