import { installMatchers, tolerances } from '@pavlov/testing';
import { type VectorExtension } from '../encoding';
import {
  describeBfloat16,
  describeExtensions,
  noise,
  precisionsOf,
  rounded,
  runKernel,
  sameBits,
} from '../spec-support';
import { type Precision } from '../tile';
import { linearRowsKernel } from './linear-rows';
import { packMatrixKernel, panelsOf } from './panels';

installMatchers();

const gelu = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
const orders = ['inputs first', 'outputs first'] as const;

describeExtensions('panels', (extension) => {
  const lanes = extension === 'avx512' ? 16 : 8;

  it.each([1, lanes - 1, lanes, lanes + 1, 2 * lanes, 5 * lanes + 3])('hold %i columns side by side, zeros behind them', (outputs) => {
    const inputs = 19;
    const w = noise(inputs * outputs); // [inputs, outputs]
    const transposed = w.map((_, i) => w[(i % inputs) * outputs + Math.floor(i / inputs)]);
    const expected: number[] = [];
    for (let first = 0; first < outputs; first += 2 * lanes) {
      const width = Math.ceil(Math.min(2 * lanes, outputs - first) / lanes) * lanes;
      for (let input = 0; input < inputs; input++)
        for (let column = first; column < first + width; column++)
          expected.push(column < outputs ? w[input * outputs + column] : 0);
    }
    expect(panelsOf(extension, { inputs, outputs }).length).toBe(expected.length);
    for (const order of orders) {
      const kernel = packMatrixKernel(extension, { inputs, outputs, order });
      const given = order === 'inputs first' ? w : transposed;
      expect([...runKernel(kernel, [given], { order: 'from last' })[0]]).toEqual(expected);
    }
  });
}); // prettier-ignore

const describePrecisions = (name: string, body: (extension: VectorExtension, precision: Precision) => void): void =>
  describeExtensions(name, (extension) => {
    for (const precision of precisionsOf(extension)) describe(precision, () => body(extension, precision));
  });

describeBfloat16('panels in bfloat16', () => {
  it.each([1, 15, 16, 17, 32, 83])(
    'hold pairs along the depth of %i columns, zeros where there is nothing',
    (outputs) => {
      const inputs = 35;
      const w = rounded(noise(inputs * outputs), 'bfloat16'); // [inputs, outputs]
      const transposed = w.map((_, i) => w[(i % inputs) * outputs + Math.floor(i / inputs)]);
      const expected: number[] = [];
      for (let first = 0; first < outputs; first += 32) {
        const width = Math.ceil(Math.min(32, outputs - first) / 16) * 16;
        for (let input = 0; input < inputs; input += 2)
          for (let column = first; column < first + width; column++)
            for (const row of [input, input + 1])
              expected.push(column < outputs && row < inputs ? w[row * outputs + column] : 0);
      }
      for (const order of orders) {
        const kernel = packMatrixKernel('avx512', { inputs, outputs, order, precision: 'bfloat16' });
        const given = order === 'inputs first' ? w : transposed;
        const [panels] = runKernel(kernel, [given], { order: 'from last' });
        const halves = new Uint16Array(panels.slice().buffer);
        expect([...new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer)]).toEqual(expected);
      }
    },
  );
});

describePrecisions('linear maps of few rows', (extension, precision) => {
  const shapes = [[1, 1, 1], [2, 70, 33], [8, 384, 128], [16, 200, 64], [33, 130, 50], [15, 33, 17], [28, 100, 64], [100, 40, 2500]]; // prettier-ignore
  it.each(shapes)('%i rows, %i outputs, %i inputs', (rows, outputs, inputs) => {
    const [wide, w, b, r] = [rows * inputs, inputs * outputs, outputs, rows * outputs].map((size, i) =>
      noise(size, i + 1),
    );
    const x = wide.map((value) => value / Math.sqrt(inputs));
    const [panels] = runKernel(packMatrixKernel(extension, { inputs, outputs, order: 'inputs first', precision }), [w]);
    const [xFactor, wFactor] = [x, w].map((factor) => rounded(factor, precision));
    const linear = Array.from({ length: rows * outputs }, (_, i) => {
      const [row, output] = [Math.floor(i / outputs), i % outputs];
      let sum = b[output];
      for (let k = 0; k < inputs; k++) sum += xFactor[row * inputs + k] * wFactor[k * outputs + output];
      return sum;
    });
    for (const activation of [undefined, 'gelu'] as const) {
      for (const residual of [false, true]) {
        const spec = { rows, inputs, outputs, precision, activation, residual };
        const given = [x, panels, b, ...(residual ? [r] : [])];
        const [y] = runKernel(linearRowsKernel(extension, { ...spec, threads: 1 }), given);
        const expected = linear.map((value, i) => (activation ? gelu(value) : value) + (residual ? r[i] : 0));
        expect(y).toBeAllClose(expected, tolerances.composed);
        for (const threads of [2, 16]) {
          const others = runKernel(linearRowsKernel(extension, { ...spec, threads }), given, { order: 'from last' });
          expect(sameBits(others, [y])).toBe(true);
        }
      }
    }
  });

  it('a row does not depend on the rows beside it', () => {
    const [inputs, outputs, most] = [40, 70, 30];
    const [x, w, b] = [most * inputs, inputs * outputs, outputs].map((size, i) => noise(size, i + 1));
    const [panels] = runKernel(packMatrixKernel(extension, { inputs, outputs, order: 'inputs first', precision }), [w]);
    const of = (rows: number) =>
      runKernel(linearRowsKernel(extension, { rows, inputs, outputs, precision, threads: 2 }), [x.subarray(0, rows * inputs), panels, b])[0]; // prettier-ignore
    const all = of(most);
    for (const rows of [1, 2, 7, 13, 29]) expect(of(rows)).toEqual(all.subarray(0, rows * outputs));
  });
});

interface Shape {
  readonly inputs: number;
  readonly outputs: number;
  readonly block: number;
}

interface ByteMatrix {
  readonly bytes: Int8Array;
  readonly scales: Float32Array;
}

/** A matrix in 8 bits, the same one every time. */
function byteMatrix({ inputs, outputs, block }: Shape): ByteMatrix {
  const blocks = Math.ceil(inputs / block);
  const bytes = Int8Array.from(noise(inputs * outputs, 6), (value) => Math.round(127 * value)); // [inputs, outputs]
  const scales = noise(blocks * outputs, 7).map((value) => 2 ** value / 127); // [blocks, outputs]
  return { bytes, scales };
}

/** As `panelsOf` describes them: of each panel, block by block, the bytes and what the sums are then multiplied by. */
function bytePanels(extension: VectorExtension, shape: Shape, { bytes, scales }: ByteMatrix): Int32Array {
  const { inputs, outputs, block } = shape;
  const lanes = extension === 'avx512' ? 16 : 8;
  const blocks = Math.ceil(inputs / block);
  const panels: number[] = [];
  for (let first = 0; first < outputs; first += 2 * lanes) {
    const width = Math.ceil(Math.min(2 * lanes, outputs - first) / lanes) * lanes;
    const columns = Array.from({ length: width }, (_, i) => first + i);
    for (let index = 0; index < blocks; index++) {
      for (let input = index * block; input < Math.min(inputs, (index + 1) * block); input++)
        for (const column of columns) panels.push(column < outputs ? bytes[input * outputs + column] : 0);
      const factors = columns.map((column) => {
        const next = index + 1 < blocks ? scales[(index + 1) * outputs + column] : 1;
        return column < outputs ? scales[index * outputs + column] / next : 0;
      });
      panels.push(...new Int8Array(Float32Array.from(factors).buffer));
    }
  }
  return new Int32Array(Int8Array.from(panels).buffer);
}

describeExtensions('linear maps of few rows, the matrix in 8 bits', (extension) => {
  /** Compares with sums in double precision, and tasks in one order with tasks in another, be they many or few. */
  const check = (rows: number, shape: Shape, rest: { activation?: 'gelu'; residual: boolean }): void => {
    const { inputs, outputs, block } = shape;
    const [x, b, r] = [rows * inputs, outputs, rows * outputs].map((size, i) => noise(size, i + 1));
    const matrix = byteMatrix(shape);
    const panels = bytePanels(extension, shape, matrix);
    expect(panels).toHaveLength(panelsOf(extension, shape).length);
    const expected = Array.from({ length: rows * outputs }, (_, i) => {
      const [row, output] = [Math.floor(i / outputs), i % outputs];
      let sum = b[output];
      for (let k = 0; k < inputs; k++) {
        const scale = matrix.scales[Math.floor(k / block) * outputs + output];
        sum += x[row * inputs + k] * matrix.bytes[k * outputs + output] * scale;
      }
      return (rest.activation ? gelu(sum) : sum) + (rest.residual ? r[i] : 0);
    });
    const given = [x, panels, b, ...(rest.residual ? [r] : [])];
    const of = (threads: number, order: 'from first' | 'from last') =>
      runKernel(linearRowsKernel(extension, { ...shape, ...rest, rows, threads }), given, { order });
    const one = of(1, 'from first');
    expect(one[0]).toBeAllClose(expected, tolerances.composed);
    for (const threads of [2, 16])
      for (const order of ['from first', 'from last'] as const) expect(sameBits(of(threads, order), one)).toBe(true);
  };

  it.each(Array.from({ length: 33 }, (_, i) => i + 1))('%i rows', (rows) => {
    check(rows, { inputs: 75, outputs: 53, block: 32 }, { residual: rows % 2 === 0 });
  });

  const shapes = [[1, 1, 1, 32], [3, 33, 31, 32], [16, 200, 64, 32], [29, 17, 33, 32], [2, 35, 256, 128], [15, 100, 300, 128]]; // prettier-ignore
  it.each(shapes)('%i rows, %i outputs, %i inputs in blocks of %i', (...[rows, outputs, inputs, block]) => {
    for (const activation of [undefined, 'gelu'] as const)
      for (const residual of [false, true]) check(rows, { inputs, outputs, block }, { activation, residual });
  });
});
