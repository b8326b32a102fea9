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
  /**
   * eˣ, 2ˣ and ln x by polynomials in float32, against the truth; where numbers end, their last two bits. Measured: two thirds of
   * it.
   */
  polynomial: { relative: epsilon, absolute: 2 ** -148 },
  /** A layer or a loss computed by two float32 implementations that add in different orders. */
  composed: { relative: 5e-5, absolute: 1e-5 },
  /** An analytic gradient against central differences of float32 values, with `finiteDifferenceStep`. */
  gradient: { relative: 1e-3, absolute: 2e-4 },
  /** The same mathematics in float64, hand-worked or by another formula, against float32. */
  reference: { relative: 1e-5, absolute: 1e-6 },
  /** A token's log-prob by cached decoding and by the full forward pass, whose kernels add in different orders. */
  logprob: { relative: 0, absolute: 2e-5 },
  /** The same where weights and activations were rounded to 8 bits, each within 1/254 of the largest of its block. Measured: 0.06. */
  int8Logprob: { relative: 0, absolute: 0.2 },
  /** float64 that adds and multiplies in another order: a few of its roundings. */
  double: { relative: 8 * 2 ** -52, absolute: 0 },
  /** The truth in float64 against a few roundings to float32. Measured: a seventh of it. */
  rounded: { relative: 4 * epsilon, absolute: epsilon },
  /** Logits, values and losses of a two-layer GPT-2 in float32 against the truth in float64. Measured: a third of it. */
  goldenForward: { relative: 2e-6, absolute: 3e-6 },
  /** Two such models in float32, ours and that of transformers, of twice the width. Measured: a third of it. */
  interop: { relative: 2e-6, absolute: 1e-5 },
  /** Its gradients, whose terms are of size 0.1 and cancel. Measured: a quarter of it. */
  goldenGradient: { relative: 4e-6, absolute: 4e-7 },
  /**
   * Its weights after up to ten steps of Adam, which divides small gradients by small numbers: there the error is a share of
   * the step, 1e-2, and not of the weight. Measured: 4e-6.
   */
  goldenWeights: { relative: 1e-6, absolute: 1e-5 },
  /**
   * The same where the gradient is 0: softmax does not feel a bias of the keys. What Adam then sees is rounding alone, 1e-8
   * beside an ε of 1e-5, so a share of 1e-3 of each step. Measured: 1.2e-5.
   */
  goldenKeyBias: { relative: 0, absolute: 5e-5 },
  /**
   * α, β and the peak of Gao's law, fitted to 40 noisy looks of 128 answers each: twice the error measured over seeds, 12 % at
   * the 95th percentile.
   */
  lawFit: { relative: 0.25, absolute: 0 },
  /** Their means over 20 such fits, whose errors are √20 times smaller. */
  lawFitMean: { relative: 0.06, absolute: 0 },
} as const satisfies Record<string, Tolerance>;

/** Halves the digits of float32 between the error of rounding (1/h) and that of curvature (h²). */
export const finiteDifferenceStep = 1e-2;
