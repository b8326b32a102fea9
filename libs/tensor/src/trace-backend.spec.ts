import type { TensorFunction } from './compile';
import { gradientsOf } from './gradients';
import { encodeModel } from './onnx-encode';
import { tf } from './tf';
import { trace } from './trace-backend';

const row = () => tf.tensor1d(Array.from({ length: 128 }, (_, i) => i));
const target = { extension: undefined, threads: 1, precision: 'float32' } as const;
const matrix = { shape: [64, 128], dtype: 'float32' } as const;

const record = (fn: TensorFunction) =>
  trace({ name: 'test', fn, inputs: { x: matrix }, constants: {}, inPlace: {} }, target).model;

/** Operators of the graph, without the Identity that names each output. */
const operators = (fn: TensorFunction): string[] =>
  record(fn)
    .nodes.map((node) => node.op)
    .filter((op) => op !== 'Identity');

describe('the recorded graph', () => {
  it('leaves out what no output depends on', () => {
    expect(
      operators(({ x }) => {
        tf.exp(tf.sin(x));
        return { y: tf.tanh(x) };
      }),
    ).toEqual(['Tanh']);
  });

  it('spends nothing on multiplying by one and adding zero', () => {
    expect(operators(({ x }) => ({ y: tf.mul(tf.add(tf.zerosLike(x), x), tf.ones([64, 128])) }))).toEqual([]);
  });

  it('holds equal constants once', () => {
    const { constants } = record(({ x }) => ({ y: tf.add(tf.mul(tf.sin(x), row()), row()) }));
    expect(constants.filter((constant) => constant.type === 'float32')).toHaveLength(1);
  });

  it('never writes out numbers that repeat: the gradient of a mean is one number until it is needed whole', () => {
    const model = record(
      ({ x }) => gradientsOf((p) => ({ loss: tf.mean(tf.square(p.x)) as tf.Scalar }), { x }).gradients,
    );
    expect(encodeModel(model).length).toBeLessThan(1500);
    expect(model.nodes.filter((node) => node.op === 'Expand')).toHaveLength(0);
  });

  it('takes names that look like its own', () => {
    const fn: TensorFunction = ({ Tanh_0: x }) => ({ Tanh_0: tf.tanh(x) });
    const model = trace({ name: 'test', fn, inputs: { Tanh_0: matrix }, constants: {}, inPlace: {} }, target).model;
    const names = [...model.inputs.map(({ name }) => name), ...model.nodes.flatMap(({ outputs }) => outputs)];
    expect(new Set(names).size).toBe(names.length);
  });
});
