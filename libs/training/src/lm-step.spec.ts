import { createResidualDropout, initParameters } from '@pavlov/model';
import { createEngine, type Engine } from '@pavlov/tensor';
import { installMatchers, tolerances } from '@pavlov/testing';
import { createLearner } from './learner';
import { compileLmStep } from './lm-step';
import { optimiser } from './spec-support';

installMatchers();

const model = { vocabSize: 20, contextLength: 8, layers: 2, heads: 1, width: 8, padId: 1 };
const shape = { model, rows: 4, columns: 6 };
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
  const { loss } = await compileLmStep(engine, { ...shape, ...options }).gradients(learner, batch, masks);
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
    const [dropping, plain] = [compileLmStep(engine, { ...shape, dropout }), compileLmStep(engine, shape)];
    expect(await dropping.meanLoss(parameters, [batch])).toBe(await plain.meanLoss(parameters, [batch]));
  });

  it('wants its masks, and a step without dropout wants none', async () => {
    await expect(stepOf({ dropout })).rejects.toThrow('"dropoutMasks" is missing');
    await expect(stepOf({}, dropout.masksAt(0))).rejects.toThrow('"dropoutMasks" is unknown');
  });
});

describe('a step that learns some of its tokens', () => {
  const columns = 24;
  const wide = { model: { ...model, contextLength: columns }, rows: 5, columns };
  const weights = initParameters(wide.model, 'lm', 1);
  const count = wide.rows * columns;
  const text = {
    tokens: Int32Array.from({ length: count }, (_, index) => 2 + ((index * 7) % 18)),
    targets: Int32Array.from({ length: count }, (_, index) => 2 + ((index * 11) % 18)),
  };
  const masks = createResidualDropout({ config: wide.model, rows: 5, columns, rate: 0.2, seed: 1, purpose: 'spec' });

  it.each([{ dropout: undefined }, { dropout: masks }])(
    'is a part of the step that learns all ($dropout.spec.dtype)',
    async ({ dropout }) => {
      const step = compileLmStep(engine, { ...wide, dropout });
      /** Loss, held-out loss and gradients as sums over the learned tokens. */
      const sumsOver = async (isLearned: (column: number) => boolean) => {
        const mask = Float32Array.from({ length: count }, (_, index) => (isLearned(index % columns) ? 1 : 0));
        const learned = mask.reduce((sum, one) => sum + one, 0);
        const learner = createLearner(weights, optimiser);
        const { loss } = await step.gradients(learner, { ...text, mask }, dropout?.masksAt(0));
        const heldOut = await step.meanLoss(weights, [{ ...text, mask }]);
        return [loss, heldOut, ...learner.gradients.data].map((mean) => mean * learned);
      };
      const [all, first, last] = [
        await sumsOver(() => true),
        await sumsOver((column) => column < 9),
        await sumsOver((column) => column >= 9),
      ];
      expect(first.map((sum, i) => sum + last[i])).toBeAllClose(all, tolerances.composed);
      expect(first[0]).toBeGreaterThan(all[0] / 4);
    },
  );
});

describe('a step in slices', () => {
  const columns = 24;
  const wide = { model: { ...model, contextLength: columns }, rows: 5, columns };
  const weights = initParameters(wide.model, 'lm', 1);
  const lengths = [9, 24, 3, 0, 16];
  /** Five rows that are learned to different lengths, the last of their tokens or more; one not at all. */
  const ragged = {
    tokens: Int32Array.from({ length: 5 * columns }, (_, index) => 2 + ((index * 7) % 18)),
    targets: Int32Array.from({ length: 5 * columns }, (_, index) => 2 + ((index * 11) % 18)),
    mask: Float32Array.from({ length: 5 * columns }, (_, index) => {
      const [row, column] = [Math.floor(index / columns), index % columns];
      return column < lengths[row] && column >= lengths[row] / 2 ? 1 : 0;
    }),
  };
  const masks = createResidualDropout({ config: wide.model, rows: 5, columns, rate: 0.2, seed: 1, purpose: 'spec' });

  const stepBy = async (options: { microbatchSize?: number; threads?: number; dropout?: typeof masks }) => {
    using own = await createEngine({ threads: options.threads ?? 1 });
    const learner = createLearner(weights, optimiser);
    const step = compileLmStep(own, { ...wide, ...options });
    const { loss, padding } = await step.gradients(learner, ragged, options.dropout?.masksAt(0));
    const heldOut = await step.meanLoss(weights, [ragged]);
    return { loss, padding, heldOut, gradients: learner.gradients.data };
  };

  it.each([
    { microbatchSize: 1, dropout: undefined },
    { microbatchSize: 2, dropout: undefined },
    { microbatchSize: 2, dropout: masks },
    { microbatchSize: 3, dropout: masks },
  ])('has the gradient of the whole batch ($microbatchSize rows, dropout $dropout.spec.dtype)', async (options) => {
    const whole = await stepBy({ dropout: options.dropout });
    const sliced = await stepBy(options);
    expect([sliced.loss, sliced.heldOut]).toBeAllClose([whole.loss, whole.heldOut], tolerances.composed);
    expect(sliced.gradients).toBeAllClose(whole.gradients, tolerances.composed);
    expect(Math.max(...whole.gradients)).toBeGreaterThan(0.01);
  });

  it('computes less padding', async () => {
    const learned = 9 + 24 + 3 + 16;
    expect((await stepBy({})).padding).toBe(1 - learned / (5 * 24));
    // [24, 16], [9, 3]: on 24 and on 16 columns.
    expect((await stepBy({ microbatchSize: 2 })).padding).toBe(1 - learned / (2 * 24 + 2 * 16));
  });

  it('gives the same bytes on any number of threads', async () => {
    expect(await stepBy({ microbatchSize: 2, threads: 2 })).toEqual(await stepBy({ microbatchSize: 2, threads: 1 }));
  });
});
