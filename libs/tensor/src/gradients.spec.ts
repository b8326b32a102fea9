import { randomStream } from '@pavlov/random';
import { installMatchers, tolerances } from '@pavlov/testing';
import { createEngine, type Engine } from './engine';
import { allocateParameters, layoutParameters } from './parameters';
import { gradientBuffers, gradientOutputs, gradientsOf } from './gradients';
import { sizeOf } from './signature';
import { tf } from './tf';

installMatchers();

type Tensors = Record<string, tf.Tensor>;

const indices = () => tf.tensor1d([1, 0, 1], 'int32');

/** Ops whose gradients tfjs makes of other kernels, with the shapes of their inputs; all inputs are positive. */
const ops: Record<string, { fn: (inputs: Tensors) => tf.Tensor; inputs: Record<string, number[]> }> = {
  'add, broadcasting': { fn: ({ a, b }) => tf.add(a, b), inputs: { a: [2, 3, 4], b: [4] } },
  'sub, broadcasting': { fn: ({ a, b }) => tf.sub(a, b), inputs: { a: [3, 1], b: [2, 3, 4] } },
  'mul, broadcasting': { fn: ({ a, b }) => tf.mul(a, b), inputs: { a: [2, 1, 4], b: [3, 1] } },
  'div, broadcasting': { fn: ({ a, b }) => tf.div(a, b), inputs: { a: [2, 3], b: [3] } },
  pow: { fn: ({ a, b }) => tf.pow(a, b), inputs: { a: [2, 3], b: [2, 3] } },
  'maximum and minimum': {
    fn: ({ a, b }) => tf.add(tf.maximum(a, b), tf.minimum(a, 1)),
    inputs: { a: [4, 3], b: [4, 3] },
  },
  // tfjs's own gradient is wrong where this op broadcasts.
  squaredDifference: { fn: ({ a, b }) => tf.squaredDifference(a, b), inputs: { a: [4, 3], b: [4, 3] } },
  'sum over an axis': { fn: ({ x }) => tf.sum(x, 1), inputs: { x: [3, 4, 2] } },
  'sum of everything': { fn: ({ x }) => tf.sum(x), inputs: { x: [3, 4] } },
  mean: { fn: ({ x }) => tf.mean(x, [0, 2], true), inputs: { x: [3, 4, 2] } },
  max: { fn: ({ x }) => tf.max(x, -1), inputs: { x: [3, 4] } },
  min: { fn: ({ x }) => tf.min(x, 0), inputs: { x: [3, 4] } },
  cumsum: { fn: ({ x }) => tf.cumsum(x, 1), inputs: { x: [3, 4] } },
  logSumExp: { fn: ({ x }) => tf.logSumExp(x, -1), inputs: { x: [3, 4] } },
  softmax: { fn: ({ x }) => tf.softmax(x), inputs: { x: [3, 4] } },
  logSoftmax: { fn: ({ x }) => tf.logSoftmax(x), inputs: { x: [3, 4] } },
  logSigmoid: { fn: ({ x }) => tf.logSigmoid(x), inputs: { x: [7] } },
  'exp, log, sqrt, rsqrt': {
    fn: ({ x }) => tf.add(tf.mul(tf.exp(x), tf.log(x)), tf.mul(tf.sqrt(x), tf.rsqrt(tf.add(x, 1)))),
    inputs: { x: [7] },
  },
  'tanh, sigmoid, relu, erf': {
    fn: ({ x }) => tf.add(tf.mul(tf.tanh(x), tf.sigmoid(x)), tf.mul(tf.relu(x), tf.erf(x))),
    inputs: { x: [7] },
  },
  'abs, neg, square, reciprocal': {
    fn: ({ x }) => tf.mul(tf.abs(tf.neg(x)), tf.add(tf.square(x), tf.reciprocal(x))),
    inputs: { x: [7] },
  },
  clipByValue: { fn: ({ x }) => tf.clipByValue(x, 0.6, 1.2), inputs: { x: [9] } },
  'where, with a comparison of what is differentiated': {
    fn: ({ a, b }) => tf.where(tf.greater(a, 1), a, b),
    inputs: { a: [3, 4], b: [3, 4] },
  },
  matMul: { fn: ({ a, b }) => tf.matMul(a, b), inputs: { a: [3, 4], b: [4, 2] } },
  'matMul, transposed': { fn: ({ a, b }) => tf.matMul(a, b, true, true), inputs: { a: [2, 4, 3], b: [2, 2, 4] } },
  gather: { fn: ({ x }) => tf.gather(x, indices()), inputs: { x: [4, 3] } },
  'gather along another axis': { fn: ({ x }) => tf.gather(x, indices(), 1), inputs: { x: [4, 3] } },
  slice: { fn: ({ x }) => tf.slice(x, [1, 0], [2, 2]), inputs: { x: [4, 3] } },
  pad: {
    fn: ({ x }) =>
      tf.pad(x, [
        [1, 0],
        [0, 2],
      ]),
    inputs: { x: [2, 3] },
  },
  concat: { fn: ({ a, b }) => tf.concat([a, b, a], 1), inputs: { a: [2, 3], b: [2, 1] } },
  split: { fn: ({ x }) => tf.mul(tf.split(x, 2, 1)[0], tf.split(x, 2, 1)[1]), inputs: { x: [3, 4] } },
  stack: { fn: ({ a, b }) => tf.stack([a, b], 1), inputs: { a: [3], b: [3] } },
  unstack: { fn: ({ x }) => tf.mul(tf.unstack(x)[0], tf.unstack(x)[2]), inputs: { x: [3, 4] } },
  tile: { fn: ({ x }) => tf.tile(x, [2, 3]), inputs: { x: [2, 3] } },
  'reshape, transpose, expandDims': {
    fn: ({ x }) => tf.expandDims(tf.transpose(tf.reshape(x, [3, 4])), 0),
    inputs: { x: [2, 6] },
  },
};

describe('gradients of tfjs ops, compiled, agree with the CPU backend', () => {
  let engines: Engine[];
  beforeAll(async () => {
    engines = [await createEngine({ threads: 2 }), await createEngine({ backend: 'cpu' })];
  });
  afterAll(() => engines.forEach((engine) => engine.dispose()));

  it.each(Object.entries(ops))('%s', async (name, { fn, inputs }) => {
    const random = randomStream(5, name);
    const draw = (shape: readonly number[]) =>
      Float32Array.from({ length: sizeOf(shape) }, () => 0.3 + 1.4 * random.uniform());
    const feeds = Object.fromEntries(Object.entries(inputs).map(([input, shape]) => [input, draw(shape)]));
    const signature = Object.fromEntries(
      Object.entries(inputs).map(([input, shape]) => [input, { shape, dtype: 'float32' as const }]),
    );
    const [actual, expected] = await Promise.all(
      engines.map(async (engine) => {
        const loss = (tensors: Tensors) => ({ loss: tf.sum(tf.square(fn(tensors))) as tf.Scalar });
        const step = await engine.compile(
          (tensors) => gradientOutputs(gradientsOf(loss, tensors).gradients),
          signature,
        );
        return step.run(feeds);
      }),
    );
    for (const input of Object.keys(inputs)) {
      expect(actual[`grad:${input}`]).toBeAllClose(expected[`grad:${input}`], tolerances.composed);
      expect(expected[`grad:${input}`].some((value) => value !== 0)).toBe(true);
    }
  });
});

describe.each(['onnxruntime', 'cpu'] as const)('gradientsOf on %s', (backend) => {
  const layout = layoutParameters([
    { name: 'w', shape: [2] },
    { name: 'unused', shape: [1] },
  ]);
  const vector = { shape: [2], dtype: 'float32' } as const;
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ backend });
  });
  afterAll(() => engine.dispose());

  it('gives loss, metrics and gradients, in the flat buffer', async () => {
    const gradients = allocateParameters(layout);
    const step = await engine.compile(
      ({ w }) => {
        const result = gradientsOf(
          (p) => ({
            loss: tf.sum(tf.square(p.w)) as tf.Scalar,
            metrics: { largest: tf.max(p.w), doubled: tf.mul(p.w, 2) },
          }),
          { w },
        );
        return { loss: result.loss, ...result.metrics, ...gradientOutputs(result.gradients) };
      },
      { w: vector },
    );
    const { 'grad:w': into } = gradientBuffers(gradients);
    const { loss, largest, doubled } = await step.run({ w: Float32Array.of(3, -4) }, { 'grad:w': into });
    expect([loss[0], largest[0], Array.from(doubled)]).toEqual([25, 3, [6, -8]]);
    expect(Array.from(gradients.views.w)).toEqual([6, -8]);
  });

  it('keeps no tensors', async () => {
    const step = await engine.compile(
      ({ w }) =>
        gradientOutputs(gradientsOf((p) => ({ loss: tf.sum(p.w) as tf.Scalar, metrics: { w: p.w } }), { w }).gradients),
      { w: vector },
    );
    const before = tf.memory().numTensors;
    await step.run({ w: Float32Array.of(3, -4) });
    expect(tf.memory().numTensors).toBe(before);
  });

  it('names parameters that the loss does not depend on', async () => {
    const compiling = engine.compile(
      (tensors) => gradientOutputs(gradientsOf(({ w }) => ({ loss: tf.sum(w) as tf.Scalar }), tensors).gradients),
      {
        w: vector,
        unused: { shape: [1], dtype: 'float32' },
      },
    );
    await expect(compiling).rejects.toThrow('does not depend on unused');
  });
});
