/**
 * How good a reward model is on held-out comparisons.
 *
 * Method: the model says P(i beats j) = σ(r_i − r_j) (Bradley–Terry 1952). Accuracy asks only for the sign; calibration
 * asks whether a stated probability comes true as often as it says (Guo et al. 2017, arXiv 1706.04599, with equal bins).
 * Leaves out: metrics of whole rankings (Kendall's τ), and predictions of ties.
 */

/** P(the first answer beats the second) when their scores differ by `margin`. */
export function preferenceProbability(margin: number): number {
  return 1 / (1 + Math.exp(-margin));
}

/**
 * Share of comparisons that the model gets right. Equal scores are a coin toss and count half, so a constant model has
 * 0.5 and not 0.
 *
 * @param margins Winner's score minus loser's, one per untied pair (`preferenceMargins`).
 */
export function pairAccuracy(margins: readonly number[]): number {
  return meanOver(margins, correctness);
}

/**
 * Mean of −log σ(margin) in nats: the loss of training, every pair weighing the same. ln 2 for a constant model.
 *
 * @param margins As for `pairAccuracy`.
 */
export function preferenceLoss(margins: readonly number[]): number {
  // log(1 + e^(−m)) without overflow where m is far below 0.
  return meanOver(margins, (margin) => Math.max(-margin, 0) + Math.log1p(Math.exp(-Math.abs(margin))));
}

export interface ReliabilityBin {
  /** Confidences in [low, high); the last bin includes 1. */
  readonly low: number;
  readonly high: number;
  readonly pairs: number;
  /** Mean stated probability of the answer that the model prefers; 0 in an empty bin. */
  readonly confidence: number;
  /** How often that answer won; 0 in an empty bin. */
  readonly accuracy: number;
}

export interface Calibration {
  /** Equal bins over confidence 0.5 … 1. */
  readonly bins: readonly ReliabilityBin[];
  /** Σ over bins of pairs / all pairs · |accuracy − confidence|: 0 is calibrated, 0.5 the worst. */
  readonly expectedCalibrationError: number;
}

/** Reliability of the stated probabilities. @param margins As for `pairAccuracy`. */
export function calibration({ margins, bins = 10 }: { margins: readonly number[]; bins?: number }): Calibration {
  const members = Array.from({ length: bins }, (): number[] => []);
  for (const margin of margins) {
    const confidence = preferenceProbability(Math.abs(margin));
    members[Math.min(Math.floor((confidence - 0.5) * 2 * bins), bins - 1)].push(margin);
  }
  const reliability = members.map((inBin, i): ReliabilityBin => {
    const edges = { low: 0.5 + i / (2 * bins), high: 0.5 + (i + 1) / (2 * bins), pairs: inBin.length };
    if (inBin.length === 0) return { ...edges, confidence: 0, accuracy: 0 };
    const confidence = meanOver(inBin, (margin) => preferenceProbability(Math.abs(margin)));
    return { ...edges, confidence, accuracy: pairAccuracy(inBin) };
  });
  const gap = (bin: ReliabilityBin): number => bin.pairs * Math.abs(bin.accuracy - bin.confidence);
  return { bins: reliability, expectedCalibrationError: meanOver(reliability, gap) * (bins / margins.length) };
}

/** How often one comparison of two answers came out either way. */
export interface Votes {
  readonly first: number;
  readonly second: number;
}

/**
 * Of all pairs of votes on the same comparison, the share that agree: what InstructGPT reports for its labellers.
 *
 * @returns Nothing where no comparison has two votes.
 */
export function agreement(comparisons: readonly Votes[]): number | undefined {
  const pairs = (votes: number): number => (votes * (votes - 1)) / 2;
  const all = comparisons.reduce((sum, { first, second }) => sum + pairs(first + second), 0);
  const agreeing = comparisons.reduce((sum, { first, second }) => sum + pairs(first) + pairs(second), 0);
  return all === 0 ? undefined : agreeing / all;
}

/**
 * The best pair accuracy that any judge can reach against noisy labels: it always names the answer that wins more often,
 * and is right with probability max(p, 1 − p).
 *
 * @param probabilities P(first answer is ranked higher | no tie) of each untied pair, from the labeller's true utilities.
 */
export function noiseCeiling(probabilities: readonly number[]): number {
  return meanOver(probabilities, (p) => Math.max(p, 1 - p));
}

function correctness(margin: number): number {
  return margin > 0 ? 1 : margin === 0 ? 0.5 : 0;
}

function meanOver<T>(items: readonly T[], measure: (item: T) => number): number {
  if (items.length === 0) throw new RangeError('there is no comparison to measure');
  return items.reduce((sum, item) => sum + measure(item), 0) / items.length;
}
