import { cosineDecay, warmUp } from '@pavlov/algorithms';
import { layOutDemonstrations, type EncodedDemonstration } from '@pavlov/datasets';
import { hiddenStates, lmLogits } from '@pavlov/model';
import { createEngine, parameterSignature, type Engine } from '@pavlov/tensor';
import { installMatchers, tolerances } from '@pavlov/testing';
import { compileLmStep, createLearner, type OptimiserConfig } from '@pavlov/training';
import {
  floatsOf,
  gradientDifferences,
  readFixture,
  weightDifferences,
  type EncodedArray,
  type EncodedWeights,
} from './fixture';
import { model, network } from './networks';

installMatchers();

let engine: Engine;
beforeAll(async () => (engine = await createEngine({ threads: 1 })));
afterAll(() => engine.dispose());

const longestOf = (rows: readonly EncodedDemonstration[]): number =>
  Math.max(...rows.map(({ prompt, completion }) => prompt.length + completion.length));

describe('a batch with padding', () => {
  const fixture = readFixture<{
    rows: EncodedDemonstration[];
    logits: EncodedArray[];
    loss: number;
    gradients: EncodedWeights;
  }>('language-model');
  const shape = { rows: fixture.rows.length, columns: longestOf(fixture.rows) };
  const optimiser = { weightDecay: 0, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, clipNorm: 1 } as const;

  it('has the logits of transformers, but for PAD', async () => {
    const { vocabSize, padId } = model;
    const parameters = network('policy');
    const compiled = await engine.compile(
      ({ tokens, ...weights }) => ({ logits: lmLogits(weights, hiddenStates(weights, tokens, model), model) }),
      {
        ...parameterSignature(parameters.layout),
        tokens: { shape: [shape.rows, shape.columns], dtype: 'int32' },
      },
    );
    const tokens = new Int32Array(shape.rows * shape.columns).fill(padId);
    fixture.rows.forEach(({ prompt, completion }, row) => tokens.set([...prompt, ...completion], row * shape.columns));
    const { logits } = await compiled.run({ ...parameters.views, tokens });

    fixture.logits.forEach((encoded, row) => {
      const expected = floatsOf(encoded);
      const start = row * shape.columns * vocabSize;
      const actual = logits.subarray(start, start + expected.length);
      const spoken = (_: number, index: number): boolean => index % vocabSize !== padId;
      expect(Array.from(actual).filter(spoken)).toBeAllClose(
        Array.from(expected).filter(spoken),
        tolerances.goldenForward,
      );
    });
  });

  it('has the loss and every gradient of PyTorch', async () => {
    const step = compileLmStep(engine, { model, rows: shape.rows, columns: shape.columns - 1 });
    const learner = createLearner(network('policy'), { ...optimiser, epsilonPlacement: 'pytorch' });
    const batch = layOutDemonstrations(fixture.rows, {
      rows: shape.rows,
      columns: shape.columns - 1,
      padId: model.padId,
    });
    const { loss } = await step.gradients(learner, batch);
    expect([loss]).toBeAllClose([fixture.loss], tolerances.goldenForward);
    expect(gradientDifferences(learner.gradients, fixture.gradients)).toEqual([]);
  });
});

describe('ten steps of AdamW with warm-up, cosine and clipping', () => {
  interface Run {
    readonly losses: number[];
    readonly gradientNorms: number[];
    readonly learningRates: number[];
    readonly weights: EncodedWeights;
  }
  const fixture = readFixture<{
    options: Omit<OptimiserConfig, 'epsilonPlacement'> & {
      learningRate: number;
      finalLearningRateFraction: number;
      warmupSteps: number;
      steps: number;
    };
    batches: EncodedDemonstration[][];
    pytorch: Run;
    tensorflow: Run;
  }>('adamw');
  const { learningRate: peak, finalLearningRateFraction, warmupSteps, steps } = fixture.options;
  const rate = warmUp({
    steps: warmupSteps,
    then: cosineDecay({ peak, floor: peak * finalLearningRateFraction, steps: steps - warmupSteps }),
  });
  const shape = { rows: fixture.batches[0].length, columns: longestOf(fixture.batches.flat()) - 1 };

  it.each(['pytorch', 'tensorflow'] as const)('ends at the same weights, with ε as in %s', async (epsilonPlacement) => {
    const step = compileLmStep(engine, { model, ...shape });
    const learner = createLearner(network('policy'), { ...fixture.options, epsilonPlacement });
    const run: Omit<Run, 'weights'> = { losses: [], gradientNorms: [], learningRates: [] };
    for (const [index, rows] of fixture.batches.entries()) {
      const { loss } = await step.gradients(learner, layOutDemonstrations(rows, { ...shape, padId: model.padId }));
      const { gradientNorm } = learner.update({ learningRate: rate(index), losses: { loss } });
      run.losses.push(loss);
      run.gradientNorms.push(gradientNorm);
      run.learningRates.push(rate(index));
    }
    const expected = fixture[epsilonPlacement];
    expect(run.learningRates).toBeAllClose(expected.learningRates, tolerances.double);
    expect(run.losses).toBeAllClose(expected.losses, tolerances.goldenForward);
    expect(run.gradientNorms).toBeAllClose(expected.gradientNorms, tolerances.goldenGradient);
    expect(weightDifferences(learner.parameters, expected.weights)).toEqual([]);
  });
});
