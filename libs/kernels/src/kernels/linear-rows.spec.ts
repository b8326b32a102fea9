import { installMatchers, tolerances } from '@pavlov/testing';
import { describeExtensions, noise, runKernel, sameBits } from '../spec-support';
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

describeExtensions('linear maps of few rows', (extension) => {
  const shapes = [[1, 1, 1], [2, 70, 33], [8, 384, 128], [16, 200, 64], [33, 130, 50], [15, 33, 17], [28, 100, 64]]; // prettier-ignore
  it.each(shapes)('%i rows, %i outputs, %i inputs', (rows, outputs, inputs) => {
    const [x, w, b, r] = [rows * inputs, inputs * outputs, outputs, rows * outputs].map((size, i) =>
      noise(size, i + 1),
    );
    const [panels] = runKernel(packMatrixKernel(extension, { inputs, outputs, order: 'inputs first' }), [w]);
    const linear = Array.from({ length: rows * outputs }, (_, i) => {
      const [row, output] = [Math.floor(i / outputs), i % outputs];
      let sum = b[output];
      for (let k = 0; k < inputs; k++) sum += x[row * inputs + k] * w[k * outputs + output];
      return sum;
    });
    for (const activation of [undefined, 'gelu'] as const) {
      for (const residual of [false, true]) {
        const spec = { rows, inputs, outputs, activation, residual };
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
    const [panels] = runKernel(packMatrixKernel(extension, { inputs, outputs, order: 'inputs first' }), [w]);
    const of = (rows: number) =>
      runKernel(linearRowsKernel(extension, { rows, inputs, outputs, threads: 2 }), [x.subarray(0, rows * inputs), panels, b])[0]; // prettier-ignore
    const all = of(most);
    for (const rows of [1, 2, 7, 13, 29]) expect(of(rows)).toEqual(all.subarray(0, rows * outputs));
  });
});
