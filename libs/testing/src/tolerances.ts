/**
 * How far two numbers may lie apart, in one place and with the reason. `actual` is close to `expected` when
 * |actual − expected| ≤ absolute + relative · |expected|.
 */
export interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
}

/** Spacing of float32 numbers just above 1. */
const epsilon = 2 ** -23;

export const tolerances = {
  /** One operator computed by two float32 implementations: a few roundings, and polynomials of different degree. */
  kernel: { relative: 16 * epsilon, absolute: 16 * epsilon },
  /** A layer or a loss computed by two float32 implementations that add in different orders. */
  composed: { relative: 5e-5, absolute: 1e-5 },
  /** An analytic gradient against central differences of float32 values, with `finiteDifferenceStep`. */
  gradient: { relative: 1e-3, absolute: 2e-4 },
  /** The same mathematics in float64, hand-worked or by another formula, against float32. */
  reference: { relative: 1e-5, absolute: 1e-6 },
  /** A token's log-prob by cached decoding and by the full forward pass, whose kernels add in different orders. */
  logprob: { relative: 0, absolute: 2e-5 },
} as const satisfies Record<string, Tolerance>;

/** Halves the digits of float32 between the error of rounding (1/h) and that of curvature (h²). */
export const finiteDifferenceStep = 1e-2;
