/** The losses as the stages run them: compiled for ONNX Runtime, forward and backward in one graph. */
import {
  type Buffers,
  createEngine,
  type Engine,
  gradientOutputs,
  gradientsOf,
  type Signature,
  tf,
} from '@pavlov/tensor';
import { rankingPairWeights } from '../reward/pairs';
import { expectAllClose, lossAndGradient, TOLERANCE, useCpuBackend } from '../spec-support';
import { causalLmLoss } from './language-model';
import { clippedPolicyLoss } from './policy';
import { rankingLoss } from './ranking';
import { clippedValueLoss } from './value';

useCpuBackend();

let engine: Engine;
beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
});
afterAll(() => engine.dispose());

type Inputs = Record<string, tf.Tensor>;

interface Case {
  /** The loss as a function of `x`, the variable, and of data. */
  readonly graph: (inputs: Inputs) => { loss: tf.Scalar };
  readonly shapes: Record<string, number[]>;
  readonly feeds: Record<string, number[]>;
}

/** NaN stands at the masked positions: compiled or not, it must not come through. */
const mask = [1, 0, 1, 1];
const policyData = {
  x: [Math.log(1.5), NaN, -0.1, Math.log(0.5)],
  oldLogprobs: [0, 0, 0, 0],
  advantages: [1, NaN, -2, -1],
  mask,
};
const line = (names: string[]): Record<string, number[]> => Object.fromEntries(names.map((name) => [name, [4]]));

const cases: Record<string, Case> = {
  causalLmLoss: {
    graph: ({ x, mask: m, denominator }) =>
      causalLmLoss({ logprobs: x, mask: m, denominator: denominator as tf.Scalar }),
    shapes: { ...line(['x', 'mask']), denominator: [] },
    feeds: { x: [-1, NaN, -2, -0.5], mask, denominator: [7] },
  },
  clippedPolicyLoss: {
    graph: ({ x, oldLogprobs, advantages, mask: m }) =>
      clippedPolicyLoss({ logprobs: x, oldLogprobs, advantages, mask: m, clipRange: 0.2 }),
    shapes: line(['x', 'oldLogprobs', 'advantages', 'mask']),
    feeds: policyData,
  },
  clippedValueLoss: {
    graph: ({ x, oldValues, returns, mask: m }) =>
      clippedValueLoss({ values: x, oldValues, returns, mask: m, clipRange: 0.2 }),
    shapes: line(['x', 'oldValues', 'returns', 'mask']),
    feeds: { x: [1, NaN, 1, 0.1], oldValues: [0.5, NaN, 0.5, 0], returns: [0.6, NaN, 1.5, -2], mask },
  },
  rankingLoss: {
    graph: ({ x, pairWeights }) => rankingLoss({ scores: x, pairWeights }),
    shapes: { x: [2, 3], pairWeights: [2, 3, 3] },
    feeds: {
      x: [2, 300, 0, 0.5, -1, NaN],
      pairWeights: [
        ...rankingPairWeights({
          rankings: [
            [1, 2, 2],
            [2, 1],
          ],
          maxAnswers: 3,
        }),
      ],
    },
  },
};

describe('compiled losses', () => {
  it.each(Object.keys(cases))('%s equals the tfjs CPU backend, value and gradient', async (name) => {
    const { graph, shapes, feeds } = cases[name];
    const tensors = Object.fromEntries(
      Object.entries(shapes).map(([key, shape]) => [key, tf.tensor(feeds[key], shape)]),
    );
    const expected = lossAndGradient((x) => graph({ ...tensors, x }), tensors.x);

    const signature: Signature = Object.fromEntries(
      Object.entries(shapes).map(([key, shape]) => [key, { shape, dtype: 'float32' as const }]),
    );
    const compiled = await engine.compile(({ x, ...data }) => {
      const { loss, gradients } = gradientsOf((parameters) => graph({ ...data, ...parameters }), { x });
      return { loss, ...gradientOutputs(gradients) };
    }, signature);
    const buffers: Buffers = Object.fromEntries(
      Object.entries(feeds).map(([key, values]) => [key, Float32Array.from(values)]),
    );
    const actual = await compiled.run(buffers);
    expectAllClose(actual.loss, [expected.loss], TOLERANCE.floatGraph);
    expectAllClose(actual['grad:x'], expected.gradient, TOLERANCE.floatGraph);
    expect(expected.gradient.some((slope) => slope !== 0)).toBe(true);
  });
});
