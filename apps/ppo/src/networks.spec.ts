import { initParameters } from '@pavlov/model';
import { randomStream } from '@pavlov/random';
import { createEngine, type Engine } from '@pavlov/tensor';
import { installMatchers, tolerances } from '@pavlov/testing';
import { createLearner } from '@pavlov/training';
import { compilePolicy, compileValue } from './networks';

installMatchers();

const model = { vocabSize: 40, contextLength: 32, layers: 1, heads: 2, width: 32, padId: 1 };
const [rows, columns] = [7, 30];
const grid = { rows, columns, states: 26 };
const [policy, value] = [initParameters(model, 'lm', 1), initParameters(model, 'scalar', 2)];
const optimiser = {
  weightDecay: 0,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  epsilonPlacement: 'pytorch',
  clipNorm: 1,
} as const;

/** Seven episodes of 6 to 30 tokens, whose answers begin at the fourth. */
const { below, normal } = randomStream(1, 'networks');
const lengths = [6, 30, 11, 24, 8, 17, 12];
const ids = (): Int32Array => Int32Array.from({ length: rows * columns }, () => 2 + below(38));
const numbers = (): Float32Array => Float32Array.from({ length: rows * columns }, () => normal());
const minibatch = {
  tokens: ids(),
  targets: ids(),
  mask: Float32Array.from({ length: rows * columns }, (_, index) => {
    const column = index % columns;
    return column >= 3 && column < lengths[Math.floor(index / columns)] - 1 ? 1 : 0;
  }),
  advantages: numbers(),
  returns: numbers(),
};

let engine: Engine;
beforeAll(async () => (engine = await createEngine({ threads: 1 })));
afterAll(() => engine.dispose());

/** Scores the minibatch and takes the gradients of both networks, `microbatchSize` episodes at a time. */
async function update(microbatchSize?: number) {
  const options = { model, grid, clipRange: 0.2, microbatchSize };
  const policyNetwork = compilePolicy(engine, { ...options, layout: policy.layout, temperature: 0.7 });
  const valueNetwork = compileValue(engine, { ...options, layout: value.layout, coefficient: 0.1 });
  const oldLogprobs = await policyNetwork.logprobs(policy, minibatch);
  const oldValues = await valueNetwork.values(value, minibatch);
  const [policyLearner, valueLearner] = [createLearner(policy, optimiser), createLearner(value, optimiser)];
  return {
    oldLogprobs,
    oldValues,
    policy: await policyNetwork.gradients(policyLearner, { ...minibatch, oldLogprobs }),
    value: await valueNetwork.gradients(valueLearner, { ...minibatch, oldValues }),
    gradients: [policyLearner.gradients.data, valueLearner.gradients.data],
  };
}

it.each([undefined, 1, 3, 7])('train on what they scored, to the last bit (%s at a time)', async (microbatchSize) => {
  const { oldLogprobs, oldValues, policy, value } = await update(microbatchSize);
  expect(policy.logprobs).toEqual(oldLogprobs);
  expect(value.values).toEqual(oldValues);
  expect(oldLogprobs.every((logprob, index) => minibatch.mask[index] === 0 || logprob < 0)).toBe(true);
});

it.each([1, 3])(
  'have the gradients of the whole minibatch when it is cut into slices of %d',
  async (microbatchSize) => {
    const [whole, sliced] = [await update(), await update(microbatchSize)];
    expect([sliced.policy.loss, sliced.value.loss]).toBeAllClose(
      [whole.policy.loss, whole.value.loss],
      tolerances.composed,
    );
    for (const which of [0, 1]) {
      expect(sliced.gradients[which]).toBeAllClose(whole.gradients[which], tolerances.composed);
      expect(Math.max(...whole.gradients[which])).toBeGreaterThan(1e-3);
    }
    expect(sliced.policy.entropies).toHaveLength(rows * columns);
    expect(sliced.policy.padding).toBeLessThan(whole.policy.padding);
  },
);
