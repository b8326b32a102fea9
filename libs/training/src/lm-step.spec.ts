import { createResidualDropout, initParameters } from '@pavlov/model';
import { createEngine, type Engine } from '@pavlov/tensor';
import { createLearner, type OptimiserConfig } from './learner';
import { compileLmStep } from './lm-step';

const model = { vocabSize: 20, contextLength: 8, layers: 2, heads: 1, width: 8, padId: 1 };
const shape = { model, rows: 4, columns: 6 };
const optimiser: OptimiserConfig = {
  weightDecay: 0,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  epsilonPlacement: 'pytorch',
  clipNorm: 1,
};
const parameters = initParameters(model, 'lm', 1);
const ids = Int32Array.from({ length: 25 }, (_, index) => 2 + ((index * 7) % 18));
const batch = { tokens: ids.slice(0, 24), targets: ids.slice(1), mask: new Float32Array(24).fill(1) };
const dropout = createResidualDropout({ config: model, rows: 4, columns: 6, rate: 0.2, seed: 1, purpose: 'spec' });

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
});
afterAll(() => engine.dispose());

const stepOf = async (options: { dropout?: typeof dropout }, masks?: Float32Array) => {
  const learner = createLearner(parameters, optimiser);
  const { loss } = await (await compileLmStep(engine, { ...shape, ...options })).gradients(learner, batch, masks);
  return { loss, gradients: learner.gradients.data };
};

describe('a step with dropout', () => {
  it('is the step without where nothing is dropped, and another where something is', async () => {
    const without = await stepOf({});
    const ones = new Float32Array(dropout.masksAt(0).length).fill(1);
    expect(await stepOf({ dropout }, ones)).toEqual(without);
    const dropped = await stepOf({ dropout }, dropout.masksAt(0));
    expect(dropped.loss).not.toBe(without.loss);
    expect(dropped.gradients).not.toEqual(without.gradients);
    expect(await stepOf({ dropout }, dropout.masksAt(0))).toEqual(dropped);
  });

  it('measures without dropping anything', async () => {
    const [dropping, plain] = [await compileLmStep(engine, { ...shape, dropout }), await compileLmStep(engine, shape)];
    expect(await dropping.meanLoss(parameters, [batch])).toBe(await plain.meanLoss(parameters, [batch]));
  });

  it('wants its masks, and a step without dropout wants none', async () => {
    await expect(stepOf({ dropout })).rejects.toThrow('"dropoutMasks" is missing');
    await expect(stepOf({}, dropout.masksAt(0))).rejects.toThrow('"dropoutMasks" is unknown');
  });
});
