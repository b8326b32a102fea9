import type { Tolerance } from './tolerances';

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- the only way to add a matcher's type to jest
  namespace jest {
    interface Matchers<R> {
      /** Every number within `tolerance` of its counterpart. NaN is close to NaN, infinities to themselves. */
      toBeAllClose(expected: ArrayLike<number>, tolerance: Tolerance): R;
    }
  }
}

const isClose = (actual: number, expected: number, { relative, absolute }: Tolerance): boolean =>
  Object.is(actual, expected) ||
  actual === expected ||
  Math.abs(actual - expected) <= absolute + relative * Math.abs(expected);

export function toBeAllClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: Tolerance) {
  if (actual.length !== expected.length) {
    return { pass: false, message: () => `expected ${expected.length} numbers, got ${actual.length}` };
  }
  const far = Array.from({ length: expected.length }, (_, i) => i).filter(
    (i) => !isClose(actual[i], expected[i], tolerance),
  );
  const distance = (i: number): number => Math.abs(actual[i] - expected[i]);
  const worst = far.reduce((a, b) => (distance(b) > distance(a) ? b : a), far[0]);
  return {
    pass: far.length === 0,
    message: () =>
      far.length === 0
        ? `expected the numbers to differ by more than ${JSON.stringify(tolerance)}`
        : `${far.length} of ${expected.length} numbers differ by more than ${JSON.stringify(tolerance)}; ` +
          `the worst is [${worst}]: ${actual[worst]} instead of ${expected[worst]}`,
  };
}

/** Adds the project's matchers to jest's `expect`; call it once in a spec file. */
export function installMatchers(): void {
  expect.extend({ toBeAllClose });
}
