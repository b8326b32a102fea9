import type { ConformanceCase } from './conformance.cases';
import { linearInt8 } from './primitives/linear-int8';
import { quantizeMatrix } from './quantize';
import type { TensorSpec } from './signature';
import { tf } from './tf';

const int = (...shape: number[]): TensorSpec => ({ shape, dtype: 'int32' });

/** Matrices in 8 bits: blocks of 128 and of 32 numbers with a rest, and columns that are not the panels'. */
export const int8 = ([[5, 128, 'gelu'], [37, 33, undefined], [64, 256, undefined], [21, 70, 'gelu']] as const).map(
  ([outputs, inputs, activation]) => wholeNumbers({ outputs, inputs, activation }),
); // prettier-ignore

/** Whole numbers of which the largest of each block is 127 are what they are in 8 bits. */
function wholeNumbers({
  outputs,
  inputs,
  activation,
}: {
  outputs: number;
  inputs: number;
  activation?: 'gelu';
}): ConformanceCase {
  const matrix = Float32Array.from({ length: outputs * inputs }, (_, i) =>
    (i % inputs) % 32 === 0 ? 127 : ((i * 7919) % 255) - 127,
  );
  const w = quantizeMatrix(matrix, { inputs, outputs, order: 'outputs first' });
  const peaks = Float32Array.from({ length: inputs }, (_, i) => (i % 32 === 0 ? 1 : 0));
  return {
    fn: ({ x, bias, residual }) => {
      const b = tf.cast(bias, 'float32');
      const peak = tf.tensor1d(peaks);
      const whole = tf.add(tf.mul(tf.cast(x, 'float32'), tf.sub(1, peak)), tf.mul(peak, 127));
      return [
        linearInt8({ x: whole, w, b, activation }),
        linearInt8({ x: whole, w, b, activation, residual: tf.cast(residual, 'float32') }),
      ];
    },
    inputs: { x: int(17, inputs), bias: int(outputs), residual: int(17, outputs) },
    range: [-127, 127],
  };
}
