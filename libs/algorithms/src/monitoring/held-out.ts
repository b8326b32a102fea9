/**
 * What a judge that nobody trains on says of the same answers: the only sure sign of over-optimisation.
 *
 * Method, in standard deviations of its first scores:
 *  - falling: the median of its last three looks lies clearly below the best such median, and the proxy has risen. One
 *    look alone, however low, does not make a median of three fall.
 *  - past the peak: Gao's law, fitted to all looks, explains them and peaked clearly before today's √KL, and the looks
 *    beyond that peak fall. The last condition is there because the law must bend, even along a mere plateau.
 * Reference: Gao, Schulman and Hilton 2022 (arXiv 2210.10760) for the law; the rest is ours.
 */
import { type Reading } from './alarms';
import { fitGoldLaw, type GoldLaw, type GoldPoint } from './gold-law';
import { round } from './words';

export interface Look {
  readonly rootKl: number;
  /** Mean and standard deviation over the answers. */
  readonly mean: number;
  readonly deviation: number;
  /** How many answers were judged. */
  readonly answers: number;
  /** How far the proxy has risen, in standard errors of that rise. */
  readonly proxyRise: number;
}

export interface HeldOutReading {
  readonly readings: readonly Reading[];
  readonly figures: Readonly<Record<string, number>>;
}

/** Looks in a median; also those whose deviations are the unit, and before which nothing is said. */
const span = 3;
/** Variance of a median of three, in that of one: 1 − √3/π for a normal distribution. */
const medianVariance = 1 - Math.sqrt(3) / Math.PI;
/** So many standard errors are no chance, even with many looks to choose from. */
const clearErrors = 5;
/** √KL must be this factor beyond the peak; by the law 3 % of its best gain are lost there. */
const beyondPeak = 1.25;
const leastLooks = 8;
/** The law must explain this share of the variance. */
const leastExplained = 0.6;

/** In the judge's own unit. */
interface Point extends GoldPoint {
  /** Standard error of the gain. */
  readonly error: number;
}

export function createHeldOutReader({ heldOutDrop }: { heldOutDrop: number }): (look: Look) => HeldOutReading {
  const points: Point[] = [];
  const firstDeviations: number[] = [];
  let origin = 0;
  let unit = 0;
  let best = { gain: -Infinity, error: 0 };
  return ({ rootKl, mean, deviation, answers, proxyRise }) => {
    if (points.length === 0) origin = mean;
    points.push({ rootKl, gain: mean - origin, error: deviation / Math.sqrt(answers) });
    const score = { 'monitor/held_out_score': mean };
    if (unit === 0) {
      // A judge that gives all of the first answers one score, say 0, has no scale before it tells some apart.
      firstDeviations.push(deviation);
      if (firstDeviations.length > span) firstDeviations.shift();
      if (points.length < span) return { readings: [], figures: score };
      unit = firstDeviations.reduce((sum, value) => sum + value, 0) / span;
      if (unit === 0) return { readings: [], figures: score };
    }
    const current = medianOf(points.slice(-span));
    if (current.gain > best.gain) best = current;
    const drop = (best.gain - current.gain) / unit;
    const noise = Math.hypot(best.error, current.error) / unit;
    const law = fitGoldLaw(points);
    return {
      readings: [
        readFall({ drop, limit: Math.max(heldOutDrop, clearErrors * noise), proxyRise }),
        readPeak({ points, peak: law?.peak ?? Infinity, explained: law?.explained ?? 0 }),
      ],
      figures: { ...score, 'monitor/held_out_drop': drop, ...(law && lawFigures(law, { rootKl, unit })) },
    };
  };
}

interface Median {
  readonly gain: number;
  readonly error: number;
}

function medianOf(points: readonly Point[]): Median {
  const gains = points.map(({ gain }) => gain).sort((a, b) => a - b);
  const variance = points.reduce((sum, { error }) => sum + error ** 2 / points.length, 0);
  return { gain: gains[gains.length >> 1], error: Math.sqrt(medianVariance * variance) };
}

function readFall({ drop, limit, proxyRise }: { drop: number; limit: number; proxyRise: number }): Reading {
  return {
    signal: 'held-out-falling',
    value: drop,
    limit,
    severity: Math.min(drop / limit, proxyRise / clearErrors),
    message: () =>
      `The held-out score has fallen ${round(drop)} standard deviations below its best, while the reward has risen.`,
  };
}

function readPeak({ points, peak, explained }: { points: readonly Point[]; peak: number; explained: number }): Reading {
  const { rootKl } = points[points.length - 1];
  const limit = beyondPeak * peak;
  return {
    signal: 'past-the-peak',
    value: rootKl,
    limit,
    severity: Math.min(
      rootKl / limit,
      points.length / leastLooks,
      explained / leastExplained,
      fallInErrors(points.filter((point) => point.rootKl > peak)) / clearErrors,
    ),
    message: () =>
      `√KL is ${round(rootKl)}; by the law fitted to the held-out scores their peak was at ${round(peak)}, a KL of ${round(peak ** 2)} nats.`,
  };
}

/** Slope of the straight line through the points, downwards, in standard errors. */
function fallInErrors(points: readonly Point[]): number {
  const middle = points.reduce((sum, { rootKl }) => sum + rootKl / points.length, 0);
  let product = 0;
  let variance = 0;
  for (const { rootKl, gain, error } of points) {
    product += (rootKl - middle) * gain;
    variance += ((rootKl - middle) * error) ** 2;
  }
  return variance > 0 ? -product / Math.sqrt(variance) : 0;
}

/** A peak much further out than anything seen is a figure of the noise. */
const farthestPeak = 10;

function lawFigures(law: GoldLaw, { rootKl, unit }: { rootKl: number; unit: number }): Record<string, number> {
  const { alpha, beta, peak, explained } = law;
  return {
    'monitor/law_alpha': alpha / unit,
    'monitor/law_beta': beta / unit,
    'monitor/law_explained': explained,
    ...(peak !== undefined && peak <= farthestPeak * rootKl && { 'monitor/law_peak': peak }),
  };
}
