import { randomStream } from '@pavlov/random';
import {
  copyParameters,
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
import { randomSequences, shakenParameters, smallConfig } from './spec-support';

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
    const gradients = Object.fromEntries(
      Object.entries(await run(parameters.views)).map(([name, values]) => [name, Float32Array.from(values)]),
    );

    const slopes: number[] = [];
    const expected: number[] = [];
    for (const { name, size } of parameters.layout.entries) {
      const { normal } = randomStream(1, `direction/${name}`);
      const direction = Float32Array.from({ length: size }, () => normal() / Math.sqrt(size));
      const lossAt = async (step: number): Promise<number> => {
        const moved = copyParameters(parameters);
        direction.forEach((value, i) => (moved.views[name][i] += step * value));
        return (await run(moved.views)).loss[0];
      };
      slopes.push(
        ((await lossAt(finiteDifferenceStep)) - (await lossAt(-finiteDifferenceStep))) / (2 * finiteDifferenceStep),
      );
      expected.push(direction.reduce((sum, value, i) => sum + value * gradients[`grad:${name}`][i], 0));
    }
    expect(expected).toBeAllClose(slopes, tolerances.gradient);
    // A slope of nothing would prove nothing.
    expect(expected.filter((slope) => Math.abs(slope) > 10 * tolerances.gradient.absolute).length).toBeGreaterThan(
      expected.length / 2,
    );
  });
});
