import { type Parameters } from '@pavlov/tensor';
import { assertFinite, assertFiniteGradients, NonFiniteError } from './health';
import { globalNorm } from './optimisers/gradients';

function gradientsOf(values: Record<string, number[]>): Parameters {
  const data = new Float32Array(Object.values(values).flat());
  let offset = 0;
  const entries = Object.entries(values).map(([name, { length: size }]) => ({
    name,
    shape: [size],
    size,
    offset: (offset += size) - size,
  }));
  const views = Object.fromEntries(entries.map(({ name, offset: at, size }) => [name, data.subarray(at, at + size)]));
  return { layout: { entries, length: data.length }, data, views };
}

const caught = (action: () => void): unknown => {
  try {
    action();
    return undefined;
  } catch (error) {
    return error;
  }
};

describe('assertFinite', () => {
  it('lets finite numbers pass', () => {
    expect(() => assertFinite({ step: 1, quantities: { loss: -3, 'gradient norm': 0 } })).not.toThrow();
  });

  it.each([NaN, Infinity, -Infinity])('names what became %p and when', (value) => {
    const error = caught(() => assertFinite({ step: 17, quantities: { loss: 1, 'value loss': value } }));
    expect(error).toBeInstanceOf(NonFiniteError);
    expect(error).toMatchObject({ name: 'NonFiniteError', quantity: 'value loss', value, step: 17 });
    expect(String(error)).toBe(`NonFiniteError: value loss is ${value} at step 17`);
  });
});

describe('assertFiniteGradients', () => {
  it('names the first parameter that broke', () => {
    const gradients = gradientsOf({ 'wte.weight': [1, 2, 3], 'h.0.bias': [4, -Infinity], 'ln_f.weight': [NaN] });
    const error = caught(() => assertFiniteGradients({ step: 3, norm: globalNorm(gradients.data), gradients }));
    expect(error).toMatchObject({ quantity: 'gradient of h.0.bias', value: -Infinity, step: 3 });
  });

  it('lets finite gradients pass', () => {
    const gradients = gradientsOf({ 'wte.weight': [1, 2, 3] });
    expect(() => assertFiniteGradients({ step: 3, norm: globalNorm(gradients.data), gradients })).not.toThrow();
  });

  it('still stops when only the norm is broken', () => {
    const gradients = gradientsOf({ 'wte.weight': [1] });
    expect(() => assertFiniteGradients({ step: 3, norm: NaN, gradients })).toThrow('gradient norm is NaN at step 3');
  });
});
