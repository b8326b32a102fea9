import { jobRequest, PavlovError, pipelineRequest } from '@pavlov/contracts';
import { z } from 'zod';
import { parse } from './bad-request';

const refusal = (schema: z.ZodType, value: unknown) => {
  try {
    parse(schema, value);
  } catch (error) {
    if (error instanceof PavlovError) return error.body;
    throw error;
  }
  throw new Error('it was accepted');
};
const sft = { policy: 'base-1', dataset: 'demos-1' };

describe('parse', () => {
  it('names the option that was probably meant, whatever its spelling', () => {
    const body = refusal(jobRequest, { stage: 'sft', config: { ...sft, learning_rate: 1e-4 } });
    expect(body).toEqual({
      code: 'UNKNOWN_OPTION',
      field: 'config.learning_rate',
      message: 'There is no option `learning_rate`.',
      hint: 'Did you mean `learningRate`?',
    });
  });

  it('lists the known options where none is near', () => {
    const body = refusal(jobRequest, {
      stage: 'sft',
      config: { ...sft, pretrainingMix: { dataset: 'corpus-1', zebra: 1 } },
    });
    expect(body).toMatchObject({
      code: 'UNKNOWN_OPTION',
      field: 'config.pretrainingMix.zebra',
      hint: 'Known here: `dataset`, `coefficient`, `batchSize`.',
    });
  });

  it('looks only among the options of the chosen variant', () => {
    const labeller = { kind: 'import', dataset: 'ranked-1', oracel: 'demo-world' };
    expect(refusal(jobRequest, { stage: 'feedback', config: { labeller } })).toMatchObject({
      code: 'UNKNOWN_OPTION',
      field: 'config.labeller.oracel',
      hint: 'Known here: `kind`, `dataset`.',
    });
  });

  it.each([
    [jobRequest, { stage: 'sfd', config: sft }, { field: 'stage', hint: 'Did you mean `sft`?' }],
    [
      pipelineRequest,
      { stages: { reward_modelling: {} } },
      { field: 'stages.reward_modelling', hint: 'Did you mean `reward-modeling`?' },
    ],
    [z.object({ stage: z.enum(['sft', 'ppo']) }), { stage: 'poo' }, { field: 'stage', hint: 'Did you mean `ppo`?' }],
  ])('knows the stages (%#)', (schema, value, expected) => {
    expect(refusal(schema, value)).toMatchObject({ code: 'UNKNOWN_STAGE', ...expected });
  });

  it('calls a stage that is not given missing, not unknown', () => {
    expect(refusal(jobRequest, { config: sft })).toMatchObject({ code: 'INVALID_REQUEST', field: 'stage' });
  });

  it('lists every issue, and lets an unknown name explain what is missing', () => {
    const body = refusal(jobRequest, { stage: 'sft', config: { polcy: 'base-1', dataset: 7, epochs: 0.5 }, seed: -1 });
    expect(body).toMatchObject({ code: 'UNKNOWN_OPTION', field: 'config.polcy', hint: 'Did you mean `policy`?' });
    expect(body.issues?.map(({ field }) => field).sort()).toEqual([
      'config.dataset',
      'config.epochs',
      'config.polcy',
      'config.policy',
      'seed',
    ]);
  });

  it('says what a wrong value should be, and what the field is for', () => {
    expect(refusal(jobRequest, { stage: 'sft', config: { ...sft, beta1: 2 } })).toEqual({
      code: 'INVALID_REQUEST',
      field: 'config.beta1',
      message: expect.any(String),
      hint: 'It must be at most 0.9999. Decay of the first moment.',
    });
    expect(refusal(jobRequest, { stage: 'sft', config: { dataset: 'demos-1' } })).toEqual({
      code: 'INVALID_REQUEST',
      field: 'config.policy',
      message: 'It is missing.',
      hint: 'Give a string. Policy to start from.',
    });
  });

  it.each(['__proto__', 'constructor', 'toString'])('takes %s for an unknown option like any other', (key) => {
    const value: unknown = JSON.parse(`{"stage":"sft","config":{"policy":"base-1","dataset":"demos-1","${key}":{}}}`);
    expect(refusal(jobRequest, value)).toMatchObject({ code: 'UNKNOWN_OPTION', field: `config.${key}` });
  });
});
