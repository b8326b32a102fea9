import {
  createEngine,
  type Engine,
  gradientOutputs,
  gradientsOf,
  parameterSignature,
  tf,
  tokenLogprobs,
} from '@pavlov/tensor';
import { finiteDifferenceStep, installMatchers, tolerances } from '@pavlov/testing';
import type { Head } from './config';
import { hiddenStates, lmLogits, scalarScores, type Weights } from './forward';
import { randomSequences, shakenParameters, slopesOf, smallConfig } from './spec-support';

installMatchers();

const config = smallConfig;
const [batch, length] = [3, 10];
const tokens = Int32Array.from(randomSequences([batch * length], config.vocabSize, 1)[0]);
const targets = Int32Array.from(randomSequences([batch * length], config.vocabSize, 2)[0]);

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
});
afterAll(() => engine.dispose());

/** A loss that depends on every parameter of a model with this head. */
const lossOf = {
  lm: (weights: Weights, hidden: tf.Tensor, wanted: tf.Tensor) =>
    tf.neg(tf.mean(tokenLogprobs(lmLogits(weights, hidden, config), wanted))),
  scalar: (weights: Weights, hidden: tf.Tensor, wanted: tf.Tensor) =>
    tf.mean(tf.mul(scalarScores(weights, hidden), tf.sin(tf.cast(wanted, 'float32')))),
} satisfies Record<Head, unknown>;

describe.each(['lm', 'scalar'] as const)('the gradient with the %s head', (head) => {
  it('is the slope of the loss along any direction of any parameter', async () => {
    const parameters = shakenParameters(config, head, 5);
    const compiled = await engine.compile(
      ({ ids, wanted, ...weights }) => {
        const { loss, gradients } = gradientsOf(
          (traced) => ({ loss: lossOf[head](traced, hiddenStates(traced, ids, config), wanted) as tf.Scalar }),
          weights,
        );
        return { loss, ...gradientOutputs(gradients) };
      },
      {
        ...parameterSignature(parameters.layout),
        ids: { shape: [batch, length], dtype: 'int32' },
        wanted: { shape: [batch * length], dtype: 'int32' },
      },
    );
    const run = async (views: Readonly<Record<string, Float32Array>>) =>
      compiled.run({ ...views, ids: tokens, wanted: targets });
    const { measured, byGradient } = await slopesOf(parameters, { run, step: finiteDifferenceStep });
    expect(byGradient).toBeAllClose(measured, tolerances.gradient);
    // A slope of nothing would prove nothing.
    const steep = byGradient.filter((slope) => Math.abs(slope) > 10 * tolerances.gradient.absolute);
    expect(steep.length).toBeGreaterThan(byGradient.length / 2);
  });
});
