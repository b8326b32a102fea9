import { vectorExtensions } from '@pavlov/kernels';
import { randomStream } from '@pavlov/random';
import { finiteDifferenceStep, installMatchers, tolerances } from '@pavlov/testing';
import { createEngine, type Engine, type EngineOptions } from '../engine';
import { gradientOutputs, gradientsOf } from '../gradients';
import type { Signature, TypedArray } from '../signature';
import { tf } from '../tf';
import { causalAttention } from './causal-attention';
import { embedding } from './embedding';
import { entropy } from './entropy';
import { gelu } from './gelu';
import { layerNorm } from './layer-norm';
import { linear } from './linear';
import { recomputed } from './recomputed';
import { selfAttention } from './self-attention';
import { softmax } from './softmax';
import { tokenLogprobs } from './token-logprobs';

installMatchers();

interface Primitive {
  readonly name: string;
  readonly fn: (inputs: Record<string, tf.Tensor>) => tf.Tensor;
  /** Shapes of the float inputs, all of which are differentiated. */
  readonly inputs: Record<string, readonly number[]>;
}

const tokens = [2, 0, 2, 4, 1, 2];
const few = () => tf.tensor1d(tokens, 'int32');

const primitives: Primitive[] = [
  { name: 'layerNorm', fn: ({ x, g, b }) => layerNorm(x, g, b), inputs: { x: [3, 2, 6], g: [6], b: [6] } },
  {
    name: 'layerNorm, rows with a rest',
    fn: ({ x, g, b }) => layerNorm(x, g, b),
    inputs: { x: [3, 19], g: [19], b: [19] },
  },
  {
    name: 'layerNorm of a sum that goes on beside it',
    fn: ({ x, y, w, c, g, b }) => {
      const sum = tf.add(x, linear({ x: y, w, b: c }));
      return tf.add(sum, layerNorm(sum, g, b));
    },
    inputs: { x: [4, 9], y: [4, 3], w: [3, 9], c: [9], g: [9], b: [9] },
  },
  {
    name: 'gelu of a linear map',
    fn: ({ x, w, b }) => gelu(linear({ x, w, b })),
    inputs: { x: [4, 3], w: [3, 7], b: [7] },
  },
  {
    name: 'a part that is recomputed, between others',
    fn: ({ x, w, b }) => {
      const part = recomputed({ x: tf.sin(x), weights: { w }, constants: { two: tf.scalar(2) } }, (given) =>
        tf.add(tf.mul(gelu(tf.matMul(given.x, given.weights.w)), given.constants.two), given.x),
      );
      return tf.mul(part, tf.add(x, b));
    },
    inputs: { x: [4, 3], w: [3, 3], b: [3] },
  },
  { name: 'gelu', fn: ({ x }) => gelu(x), inputs: { x: [4, 7] } },
  { name: 'linear', fn: ({ x, w, b }) => linear({ x, w, b }), inputs: { x: [4, 3], w: [3, 5], b: [5] } },
  { name: 'softmax', fn: ({ x }) => softmax(x), inputs: { x: [4, 7] } },
  { name: 'embedding, ids repeated', fn: ({ x }) => embedding(x, few()), inputs: { x: [5, 3] } },
  { name: 'embedding, more rows than ids', fn: ({ x }) => embedding(x, few()), inputs: { x: [9, 3] } },
  {
    name: 'causalAttention',
    fn: ({ q, k, v }) => causalAttention({ q, k, v }),
    inputs: { q: [2, 2, 4, 3], k: [2, 2, 4, 3], v: [2, 2, 4, 3] },
  },
  ...[
    [2, 2, 5, 3],
    [1, 1, 37, 1],
    [1, 1, 3, 17],
  ].map(([batch, heads, length, size]) => ({
    name: `selfAttention, T = ${length}, D = ${size}`,
    fn: ({ qkv }: Record<string, tf.Tensor>) => selfAttention({ qkv, heads, length }),
    inputs: { qkv: [batch * length, 3 * heads * size] },
  })),
  { name: 'tokenLogprobs', fn: ({ x }) => tokenLogprobs(x, few()), inputs: { x: [6, 5] } },
  {
    name: 'tokenLogprobs at a temperature, without an id',
    fn: ({ x }) => tokenLogprobs(x, few(), { temperature: 1.5, excluded: 3 }),
    inputs: { x: [6, 19] },
  },
  { name: 'entropy', fn: ({ x }) => entropy(x), inputs: { x: [4, 7] } },
  {
    name: 'entropy at a temperature, without an id',
    fn: ({ x }) => entropy(x, { temperature: 1.5, excluded: 3 }),
    inputs: { x: [4, 19] },
  },
];

const engines: EngineOptions[] = [
  ...(['none', ...vectorExtensions()] as const).map((kernels) => ({ backend: 'onnxruntime', kernels }) as const),
  { backend: 'cpu' },
  { backend: 'wasm' },
];

describe.each(engines)('on $backend $kernels, gradients equal central differences', (options) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ ...options, threads: 2 });
  });
  afterAll(() => engine.dispose());

  it.each(primitives)('$name', async ({ name, fn, inputs }) => {
    const random = randomStream(7, `gradients/${name}`);
    const signature: Signature = Object.fromEntries(
      Object.entries(inputs).map(([input, shape]) => [input, { shape, dtype: 'float32' }]),
    );
    const feeds = Object.fromEntries(
      Object.entries(inputs).map(([input, shape]) => [
        input,
        Float32Array.from({ length: tf.util.sizeFromShape([...shape]) }, () => random.normal()),
      ]),
    );

    // The scalar is Σ weightᵢ yᵢ: added here in float64, so that only the rounding of y itself disturbs the differences.
    const forward = await engine.compile((tensors) => ({ y: fn(tensors) }), signature);
    const weights = Float32Array.from({ length: tf.util.sizeFromShape([...forward.outputs.y.shape]) }, () =>
      random.normal(),
    );
    const scalar = async (): Promise<number> => {
      const { y } = await forward.run(feeds);
      return (y as Float32Array).reduce((sum: number, value: number, i: number) => sum + value * weights[i], 0);
    };

    const backward = await engine.compile((tensors) => {
      const constant = tf.tensor(weights, [...forward.outputs.y.shape]);
      const { gradients } = gradientsOf(
        (params) => ({ loss: tf.sum(tf.mul(fn(params), constant)) as tf.Scalar }),
        tensors,
      );
      return gradientOutputs(gradients);
    }, signature);
    const gradients = await backward.run(feeds);

    for (const [input, values] of Object.entries(feeds)) {
      const differences: number[] = [];
      for (let i = 0; i < values.length; i++) {
        const at = async (value: number): Promise<number> => {
          const before = values[i];
          values[i] = value;
          const result = await scalar();
          values[i] = before;
          return result;
        };
        const [up, down] = [
          Math.fround(values[i] + finiteDifferenceStep),
          Math.fround(values[i] - finiteDifferenceStep),
        ];
        differences.push(((await at(up)) - (await at(down))) / (up - down));
      }
      expect(gradients[`grad:${input}`] as TypedArray).toBeAllClose(differences, tolerances.gradient);
      expect(differences.some((difference) => Math.abs(difference) > 0.05)).toBe(true);
    }
  });
});
