/** A matrix [O, I] in 8 bits: `scales` times the values less 128, for each run of `block` values of a row. */
export interface QuantizedMatrix {
  readonly outputs: number;
  readonly inputs: number;
  readonly block: number;
  /** [O, ⌈I / block⌉, block], the last block of a row padded. */
  readonly values: Uint8Array;
  /** [O, ⌈I / block⌉] */
  readonly scales: Float32Array;
}

interface MatrixSpec {
  readonly inputs: number;
  readonly outputs: number;
  /** How the matrix is stored. */
  readonly order: 'inputs first' | 'outputs first';
}

const zero = 128;
const largest = 127;

/** Rounds to 8 bits, symmetrically around zero, the largest of each block being exact. */
export function quantizeMatrix(matrix: Float32Array, { inputs, outputs, order }: MatrixSpec): QuantizedMatrix {
  const block = inputs % 128 === 0 ? 128 : 32; // the larger is faster
  const blocks = Math.ceil(inputs / block);
  const values = new Uint8Array(outputs * blocks * block).fill(zero);
  const scales = new Float32Array(outputs * blocks);
  const [alongRow, alongColumn] = order === 'outputs first' ? [1, inputs] : [outputs, 1];
  for (let output = 0; output < outputs; output++) {
    for (let index = 0; index < blocks; index++) {
      const first = output * alongColumn + index * block * alongRow;
      const count = Math.min(block, inputs - index * block);
      let peak = 0;
      for (let i = 0; i < count; i++) peak = Math.max(peak, Math.abs(matrix[first + i * alongRow]));
      const place = output * blocks + index;
      scales[place] = peak / largest;
      const inverse = peak === 0 ? 0 : largest / peak;
      for (let i = 0; i < count; i++)
        values[place * block + i] = zero + Math.round(matrix[first + i * alongRow] * inverse);
    }
  }
  return { outputs, inputs, block, values, scales };
}

/** What the matrix stands for, [O, I]. */
export function dequantizeMatrix({ outputs, inputs, block, values, scales }: QuantizedMatrix): Float32Array {
  const matrix = new Float32Array(outputs * inputs);
  const blocks = Math.ceil(inputs / block);
  for (let output = 0; output < outputs; output++) {
    for (let i = 0; i < inputs; i++) {
      const place = output * blocks + Math.floor(i / block);
      matrix[output * inputs + i] = scales[place] * (values[place * block + (i % block)] - zero);
    }
  }
  return matrix;
}
