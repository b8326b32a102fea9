import {
  copyParameters,
  createEngine,
  type Engine,
  gradientOutputs,
  gradientsOf,
  parameterSignature,
  tf,
  tokenLogprobs,
  type Parameters,
} from '@pavlov/tensor';
import { finiteDifferenceStep, installMatchers, tolerances } from '@pavlov/testing';
import { createResidualDropout, type ResidualDropoutOptions } from './dropout';
import { hiddenStates, hiddenStatesForTraining, lmLogits, type Weights } from './forward';
import { randomSequences, shakenParameters, slopesOf, smallConfig } from './spec-support';

installMatchers();

const config = smallConfig;
const [rows, columns] = [3, 10];
const options: ResidualDropoutOptions = { config, rows, columns, rate: 0.2, seed: 1, purpose: 'spec' };
const places = 2 * config.layers + 1;
const size = rows * columns * config.width;
const masksAt = (step: number, changes: Partial<ResidualDropoutOptions> = {}): Float32Array =>
  createResidualDropout({ ...options, ...changes }).masksAt(step);
const mean = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('the masks', () => {
  it('are a pure function of seed, purpose and step', () => {
    const { masksAt: again } = createResidualDropout(options);
    const inOrder = [0, 1, 2, 3].map((step) => again(step).slice());
    expect(masksAt(2)).toEqual(inOrder[2]);
    expect(again(1)).toEqual(inOrder[1]);
    expect(inOrder[3]).not.toEqual(inOrder[2]);
    for (const other of [masksAt(2, { seed: 2 }), masksAt(2, { purpose: 'other' })])
      expect(other).not.toEqual(inOrder[2]);
  });

  // 0.25 is a whole number of 256ths, 0.001 is less than one, 0.999 is above all but one.
  it.each([0.001, 0.2, 0.25, 0.5, 0.999])('drop a share of %d and keep the mean, at every place', (rate) => {
    const shape = { layers: 2, width: 64 };
    const masks = masksAt(7, { config: shape, rows: 16, columns: 32, rate });
    const perPlace = 16 * 32 * 64;
    const kept = Math.fround(1 / (1 - rate));
    expect(new Set(masks)).toEqual(new Set([0, kept]));
    for (let place = 0; place < 5; place++) {
      const mask = masks.subarray(place * perPlace, (place + 1) * perPlace);
      // Four standard deviations of the mean of independent masks.
      const deviation = 4 * Math.sqrt(rate / (1 - rate) / perPlace);
      expect(Math.abs(mean(mask) - 1)).toBeLessThan(deviation);
    }
  });

  it('refuses rates at which nothing or all would be dropped', () => {
    for (const rate of [0, 1, -0.1, NaN]) expect(() => createResidualDropout({ ...options, rate })).toThrow(RangeError);
  });
});

describe('a forward pass with dropout', () => {
  const ids = Int32Array.from(randomSequences([rows * columns], config.vocabSize, 1)[0]);
  const targets = Int32Array.from(randomSequences([rows * columns], config.vocabSize, 2)[0]);
  const parameters = shakenParameters(config, 'lm', 5);
  const signature = {
    ...parameterSignature(parameters.layout),
    tokens: { shape: [rows, columns], dtype: 'int32' },
  } as const;
  const masked = { ...signature, masks: createResidualDropout(options).spec };
  const ones = new Float32Array(places * size).fill(1);

  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ threads: 1 });
  });
  afterAll(() => engine.dispose());

  const withoutDropout = async (given: Parameters): Promise<Float32Array> => {
    const compiled = await engine.compile(
      ({ tokens, ...weights }) => ({ hidden: hiddenStates(weights, tokens, config) }),
      signature,
    );
    return (await compiled.run({ ...given.views, tokens: ids })).hidden as Float32Array;
  };
  const withDropout = async (masks: Float32Array): Promise<Float32Array> => {
    const compiled = await engine.compile(
      ({ tokens, masks: all, ...weights }) => ({
        hidden: hiddenStatesForTraining(weights, { tokens, masks: all }, config),
      }),
      masked,
    );
    return (await compiled.run({ ...parameters.views, tokens: ids, masks })).hidden as Float32Array;
  };

  it('that drops nothing is the pass without', async () => {
    expect(await withDropout(ones)).toEqual(await withoutDropout(parameters));
  });

  /** What silences a place altogether, without any mask: weights of 0 there. */
  const silencing: readonly (readonly string[])[] = [
    ['transformer.wte.weight', 'transformer.wpe.weight'],
    ...Array.from({ length: config.layers }, (_, layer) =>
      ['attn', 'mlp'].map((part) => ['weight', 'bias'].map((name) => `transformer.h.${layer}.${part}.c_proj.${name}`)),
    ).flat(),
  ];
  it.each(silencing.map((names, place) => ({ names, place })))(
    'drops $names at place $place',
    async ({ names, place }) => {
      const silent = copyParameters(parameters);
      for (const name of names) silent.views[name].fill(0);
      const masks = ones.slice();
      masks.fill(0, place * size, (place + 1) * size);
      const hidden = await withDropout(masks);
      expect(hidden).toBeAllClose(await withoutDropout(silent), tolerances.composed);
      expect(hidden).not.toBeAllClose(await withoutDropout(parameters), tolerances.composed);
    },
  );

  it('has the gradient of what it computes', async () => {
    const lossOf = (weights: Weights, { tokens, wanted, masks }: Record<'tokens' | 'wanted' | 'masks', tf.Tensor>) =>
      tf.neg(
        tf.mean(
          tokenLogprobs(lmLogits(weights, hiddenStatesForTraining(weights, { tokens, masks }, config), config), wanted),
        ),
      );
    const compiled = await engine.compile(
      ({ tokens, wanted, masks, ...weights }) => {
        const { loss, gradients } = gradientsOf(
          (traced) => ({ loss: lossOf(traced, { tokens, wanted, masks }) as tf.Scalar }),
          weights,
        );
        return { loss, ...gradientOutputs(gradients) };
      },
      { ...masked, wanted: { shape: [rows * columns], dtype: 'int32' } },
    );
    const masks = masksAt(3);
    const run = (views: Parameters['views']) => compiled.run({ ...views, tokens: ids, wanted: targets, masks });
    const { measured, byGradient } = await slopesOf(parameters, { run, step: finiteDifferenceStep });
    expect(byGradient).toBeAllClose(measured, tolerances.gradient);
    // A slope of nothing would prove nothing.
    const steep = byGradient.filter((slope) => Math.abs(slope) > 10 * tolerances.gradient.absolute);
    expect(steep.length).toBeGreaterThan(byGradient.length / 2);
  });
});
