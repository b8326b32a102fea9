/** What the specs of this library share: tolerances, comparisons, and finite differences in double precision. */
import { tf } from '@pavlov/tensor';
import '@tensorflow/tfjs-backend-cpu';

export const TOLERANCE = {
  /** Plain functions compute in doubles and store floats: half a unit in the last place is 6e-8. */
  storedFloat: 1.2e-7,
  /** A graph of a dozen float32 operations. */
  floatGraph: 2e-6,
} as const;

/** Passes if every |actual − expected| ≤ tolerance · max(1, |expected|). NaN never passes. */
export function expectAllClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  const wrong = Array.from(expected).flatMap((value, i) => {
    const within = Math.abs(actual[i] - value) <= tolerance * Math.max(1, Math.abs(value));
    return within ? [] : [`[${i}] is ${actual[i]}, not ${value} ± ${tolerance}`];
  });
  expect(wrong).toEqual([]);
}

type LossOf<T> = (variable: T) => { loss: tf.Scalar };

/** The loss and its gradient with respect to `at`, on the tfjs CPU backend. */
export function lossAndGradient(graph: LossOf<tf.Tensor>, at: tf.Tensor): { loss: number; gradient: Float32Array } {
  const { value, grad } = tf.valueAndGrad((x: tf.Tensor) => graph(x).loss)(at);
  return { loss: value.dataSync()[0], gradient: grad.dataSync() as Float32Array };
}

/**
 * Holds a graph against the same loss written out in plain doubles: its value, and its gradient against central
 * differences of the doubles, whose own error is about 1e-9.
 */
export function expectLossToMatch(input: {
  graph: LossOf<tf.Tensor>;
  reference: (variable: readonly number[]) => number;
  at: readonly number[];
  shape?: number[];
}): void {
  const { graph, reference, at, shape = [at.length] } = input;
  const { loss, gradient } = lossAndGradient(graph, tf.tensor(Array.from(at), shape));
  expectAllClose([loss], [reference(at)], TOLERANCE.floatGraph);
  const h = 1e-5;
  const moved = (i: number, by: number): number => reference(at.map((value, j) => (j === i ? value + by : value)));
  const slopes = at.map((_, i) => (moved(i, h) - moved(i, -h)) / (2 * h));
  expectAllClose(gradient, slopes, TOLERANCE.floatGraph);
}

/** Runs every test of a file on the tfjs CPU backend, without leaking tensors. */
export function useCpuBackend(): void {
  beforeAll(() => tf.setBackend('cpu'));
  beforeEach(() => tf.engine().startScope());
  afterEach(() => tf.engine().endScope());
}

/** `values` with every masked entry replaced. */
export function withGarbage(values: readonly number[], mask: readonly number[], garbage: number): number[] {
  return values.map((value, i) => (mask[i] > 0 ? value : garbage));
}

/** What a masked position may hold. */
export const GARBAGE = [1e30, -1e30, Infinity, -Infinity, NaN];
