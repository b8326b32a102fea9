import { z } from 'zod';
import { stages } from '../ids';
import { completionRequest } from './artifacts';
import { jobRequest, pipelineLinks, pipelineRequest } from './submissions';

describe('jobRequest', () => {
  it('fills in the defaults of the stage that it names', () => {
    const request = jobRequest.parse({ stage: 'sft', config: { policy: 'base-1', dataset: 'demos-1' } });
    expect(request).toMatchObject({ stage: 'sft', seed: 0, priority: 0, config: { epochs: 16, beta2: 0.95 } });
  });

  it('refuses the options of another stage', () => {
    const parsed = jobRequest.safeParse({
      stage: 'sft',
      config: { policy: 'base-1', dataset: 'demos-1', clipRange: 0.2 },
    });
    expect(parsed.error?.issues).toMatchObject([{ code: 'unrecognized_keys', keys: ['clipRange'], path: ['config'] }]);
  });
});

describe('pipelineRequest', () => {
  it('lets every link be left out, and nothing else', () => {
    const parsed = pipelineRequest.safeParse({ stages: Object.fromEntries(stages.map((stage) => [stage, {}])) });
    const missing = parsed.error?.issues.map((issue) => issue.path.slice(1).join('.'));
    expect(missing).toEqual([
      'pretraining.dataset',
      'sft.dataset',
      'feedback.labeller',
      'ppo.prompts',
      'evaluation.prompts',
    ]);
  });

  it('keeps the links it is given', () => {
    const { stages: parsed } = pipelineRequest.parse({ stages: { ppo: { policy: 'mine-1', prompts: 'asked-1' } } });
    expect(parsed.ppo).toEqual(expect.objectContaining({ policy: 'mine-1', klCoefficient: 0.02 }));
    expect(parsed.ppo).not.toHaveProperty('reward');
  });

  it('needs a stage', () => {
    expect(pipelineRequest.safeParse({ stages: {} }).success).toBe(false);
  });

  it('links each stage to earlier ones only', () => {
    for (const stage of stages) {
      for (const source of Object.values(pipelineLinks[stage]))
        expect(stages.indexOf(source)).toBeLessThan(stages.indexOf(stage));
    }
  });
});

describe('examples', () => {
  it.each([jobRequest, pipelineRequest, completionRequest])('would be accepted (%#)', (schema) => {
    const examples = z.globalRegistry.get(schema)?.examples as unknown[];
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) expect(schema.safeParse(example).error).toBeUndefined();
  });
});
