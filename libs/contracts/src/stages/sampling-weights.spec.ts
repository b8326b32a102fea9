import { completionRequest } from '../api/artifacts';
import { stageConfigs } from '../catalogue';
import { evaluationReport } from '../report';

describe('the weights that answers are sampled with', () => {
  const evaluation = { policies: [{ name: 'sft', checkpoint: 'sft-1' }], prompts: 'prompts-1' };
  const completion = { checkpoint: 'sft-1', prompt: 'Why?' };

  it('may be in bfloat16, and in float32 by default', () => {
    expect(stageConfigs.evaluation.parse(evaluation).weights).toBe('float32');
    expect(completionRequest.parse(completion).weights).toBe('float32');
    expect(evaluationReport.shape.weights.parse(undefined)).toBe('float32'); // of a report from before
    for (const weights of ['float32', 'bfloat16', 'int8']) {
      expect(stageConfigs.evaluation.parse({ ...evaluation, weights }).weights).toBe(weights);
      expect(completionRequest.parse({ ...completion, weights }).weights).toBe(weights);
      expect(evaluationReport.shape.weights.parse(weights)).toBe(weights);
    }
  });

  it('come in no other form', () => {
    for (const weights of ['float16', 'int4'])
      expect(completionRequest.safeParse({ ...completion, weights }).error?.issues).toMatchObject([
        { path: ['weights'] },
      ]);
  });
});
