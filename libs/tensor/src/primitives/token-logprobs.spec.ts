import { vectorExtensions } from '@pavlov/kernels';
import { installMatchers, tolerances } from '@pavlov/testing';
import { createEngine, type Engine } from '../engine';
import { gradientOutputs, gradientsOf } from '../gradients';
import { tf } from '../tf';
import { layerNorm } from './layer-norm';
import { tokenLogprobs } from './token-logprobs';

installMatchers();

const [N, V] = [4, 37];
const PAD = 20;

describe.each(vectorExtensions())('with kernels "%s"', (kernels) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ kernels, threads: 2 });
  });
  afterAll(() => engine.dispose());

  /** Log-probs, and the gradient of their sum. */
  const evaluate = async (x: Float32Array, targets: Int32Array) => {
    using step = await compiled();
    const { y, 'grad:x': gradient } = await step.run({ x, targets });
    return { logprobs: [...y], rows: Array.from({ length: N }, (_, n) => [...gradient.subarray(n * V, (n + 1) * V)]) };
  };
  const compiled = async () => {
    const step = await engine.compile(
      ({ x, targets }) => {
        const { metrics, gradients } = gradientsOf(
          ({ x }) => {
            const y = tokenLogprobs(x, targets, { excluded: PAD });
            return { loss: tf.sum(y) as tf.Scalar, metrics: { y } };
          },
          { x },
        );
        return { ...metrics, ...gradientOutputs(gradients) };
      },
      { x: { shape: [N, V], dtype: 'float32' }, targets: { shape: [N], dtype: 'int32' } },
    );
    return { run: step.run.bind(step), [Symbol.dispose]: () => step.dispose() };
  };
  const wave = (scale: number) => Float32Array.from({ length: N * V }, (_, i) => scale * Math.sin(i));

  it('gives what is excluded a probability of exactly 0, however large its logit', async () => {
    const x = wave(1);
    for (let n = 0; n < N; n++) x[n * V + PAD] = 1e6;
    const { rows, logprobs } = await evaluate(x, Int32Array.of(0, 5, 30, PAD));
    expect(rows.map((row) => row[PAD] === 0)).toEqual([true, true, true, false]); // 1 where it is the target
    expect(logprobs[3]).toBeLessThan(-9e8);
  });

  it('holds for large logits', async () => {
    const x = wave(3e4);
    const { logprobs } = await evaluate(x, Int32Array.of(1, 2, 3, 4));
    const expected = [1, 2, 3, 4].map((target, n) => {
      const row = [...x.subarray(n * V, (n + 1) * V)].map((value, id) => (id === PAD ? -Infinity : value));
      const largest = Math.max(...row);
      return row[target] - largest - Math.log(row.reduce((sum, value) => sum + Math.exp(value - largest), 0));
    });
    expect(logprobs).toBeAllClose(expected, tolerances.rounded);
  });

  it('gives NaN for targets that are no ids, and touches nothing else', async () => {
    const { logprobs, rows } = await evaluate(wave(1), Int32Array.of(-1, V, 0x7fffffff, 3));
    expect(logprobs.map(Number.isNaN)).toEqual([true, true, true, false]);
    const sums = rows.map((row) => row.reduce((sum, value) => sum + value, 0));
    expect(sums).toBeAllClose([-1, -1, -1, 0], tolerances.reference);
  });

  it.each([NaN, Infinity])('does not hide %p', async (broken) => {
    const x = wave(1);
    x[V + 7] = broken;
    const { logprobs, rows } = await evaluate(x, Int32Array.of(1, 2, 3, 4));
    expect(logprobs.map(Number.isNaN)).toEqual([false, true, false, false]);
    expect(rows.map((row) => row.some(Number.isNaN))).toEqual([false, true, false, false]);
  });

  it('does not hide NaN from layer normalisation either', async () => {
    const step = await engine.compile(({ x }) => ({ y: layerNorm(x, tf.ones([V]), tf.zeros([V])) }), {
      x: { shape: [N, V], dtype: 'float32' },
    });
    const x = wave(1);
    x[V + 36] = NaN;
    const { y } = await step.run({ x });
    const broken = Array.from({ length: N }, (_, n) => y.subarray(n * V, (n + 1) * V).every(Number.isNaN));
    expect(broken).toEqual([false, true, false, false]);
    step.dispose();
  });
});
