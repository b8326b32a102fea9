import { installMatchers, toBeAllClose } from './matchers';

installMatchers();
const tolerance = { relative: 1e-3, absolute: 1e-6 };

describe('toBeAllClose', () => {
  it('accepts what lies within the tolerance', () => {
    expect([1, 0, -1000]).toBeAllClose([1.0005, 5e-7, -1000.9], tolerance);
    expect([NaN, Infinity]).toBeAllClose([NaN, Infinity], tolerance);
  });

  it.each([
    ['relative', [1.002], [1]],
    ['absolute', [2e-6], [0]],
    ['NaN for a number', [NaN], [1]],
    ['a number for NaN', [1], [NaN]],
    ['infinity', [Infinity], [1]],
    ['lengths', [1], [1, 1]],
  ])('refuses: %s', (_, actual, expected) => {
    expect(toBeAllClose(actual, expected, tolerance).pass).toBe(false);
    expect(actual).not.toBeAllClose(expected, tolerance);
  });

  it('names the worst element', () => {
    expect(toBeAllClose([1, 2, 9], [1, 3, 3], tolerance).message()).toContain('[2]: 9 instead of 3');
  });
});
