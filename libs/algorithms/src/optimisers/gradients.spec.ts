import fc from 'fast-check';
import { accumulate, clipFactor, globalNorm } from './gradients';

describe('globalNorm', () => {
  it('gives the hand-worked value over any length', () => {
    // √(9 + 16) = 5, √(1 + 4 + 4) = 3, √(5 · 4) = √20
    expect(globalNorm(Float32Array.of(3, 4))).toBe(5);
    expect(globalNorm(Float32Array.of(1, -2, 2))).toBe(3);
    expect(globalNorm(Float32Array.of(2, 2, 2, 2, 2))).toBeCloseTo(Math.sqrt(20), 12);
    expect(globalNorm(new Float32Array(0))).toBe(0);
  });

  it('does not overflow where float32 squares would', () => {
    expect(globalNorm(Float32Array.of(3e30, 4e30)) / 5e30).toBeCloseTo(1, 6);
  });

  it.each([NaN, Infinity, -Infinity])('lets %p through', (broken) => {
    expect(Number.isFinite(globalNorm(Float32Array.of(1, broken, 2, 3, 4)))).toBe(false);
  });
});

describe('clipFactor', () => {
  it('brings a long gradient to the norm asked for and leaves a short one', () => {
    expect(clipFactor({ norm: 5, maxNorm: 1 })).toBe(0.2);
    expect(clipFactor({ norm: 0.5, maxNorm: 1 })).toBe(1);
    expect(clipFactor({ norm: 0, maxNorm: 1 })).toBe(1);
  });

  it('never leaves a longer gradient than allowed', () => {
    const float = fc.float({ min: -1000, max: 1000, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(float, { minLength: 1, maxLength: 20 }),
        fc.double({ min: 0.01, max: 100, noNaN: true }),
        (values, maxNorm) => {
          const gradients = Float32Array.from(values);
          const norm = globalNorm(gradients);
          expect(norm * clipFactor({ norm, maxNorm })).toBeLessThanOrEqual(maxNorm * (1 + 1e-15));
        },
      ),
    );
  });
});

describe('accumulate', () => {
  it('adds element by element', () => {
    const total = Float32Array.of(1, 2);
    accumulate({ total, gradients: Float32Array.of(0.5, -2) });
    expect([...total]).toEqual([1.5, 0]);
  });

  it('refuses another length', () => {
    expect(() => accumulate({ total: new Float32Array(2), gradients: new Float32Array(3) })).toThrow(
      'cannot add 3 gradients to 2',
    );
  });
});
