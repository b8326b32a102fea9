/**
 * What a judge that nobody trains on says of the same answers: the only sure sign of over-optimisation.
 *
 * Method, in standard deviations of its first scores:
 *  - falling: the median of its last three looks lies clearly below the best such median, and the proxy has risen. One
 *    look alone, however low, moves no median of three.
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

/** Standard error of a median of three, in those of one: √0.4487. */
const medianError = 0.67;
/** A difference or a slope of so many standard errors is no chance, even with many looks to choose from. */
const clearErrors = 4;
/** √KL must be this factor beyond the peak; by the law 3 % of its best gain are lost there. */
const beyondPeak = 1.25;
const leastLooks = 8;
/** The law must explain this share of the variance. */
const leastExplained = 0.8;

export function createHeldOutReader({ heldOutDrop }: { heldOutDrop: number }): (look: Look) => HeldOutReading {
  const looks: GoldPoint[] = [];
  let origin = 0;
  let unit = 0;
  let best = -Infinity;
  return (look) => {
    if (looks.length === 0) origin = look.mean;
    // A judge that gives every first answer the same score, say 0, has no scale yet.
    if (unit === 0) unit = look.deviation;
    const figures: Record<string, number> = { 'monitor/held_out_score': look.mean };
    looks.push({ rootKl: look.rootKl, gain: look.mean - origin });
    const current = median(looks.slice(-3).map(({ gain }) => gain));
    best = Math.max(best, current);
    if (unit === 0) return { readings: [], figures };

    const points = looks.map(({ rootKl, gain }) => ({ rootKl, gain: gain / unit }));
    const error = 1 / Math.sqrt(look.answers);
    const drop = (best - current) / unit;
    figures['monitor/held_out_drop'] = drop;
    const law = fitGoldLaw(points);
    if (law) {
      figures['monitor/law_alpha'] = law.alpha;
      figures['monitor/law_beta'] = law.beta;
      figures['monitor/law_explained'] = law.explained;
      if (law.peak !== undefined) figures['monitor/law_peak'] = law.peak;
    }
    if (looks.length < 3) return { readings: [], figures };
    return {
      readings: [
        readFall({ drop, limit: Math.max(heldOutDrop, clearErrors * Math.SQRT2 * medianError * error), look }),
        readPeak({ law, points, error }),
      ],
      figures,
    };
  };
}

function readFall({ drop, limit, look }: { drop: number; limit: number; look: Look }): Reading {
  return {
    signal: 'held-out-falling',
    value: drop,
    limit,
    severity: Math.min(drop / limit, look.proxyRise / clearErrors),
    message: `The held-out score has fallen ${round(drop)} standard deviations below its best, while the reward has risen.`,
  };
}

function readPeak(input: { law: GoldLaw | undefined; points: readonly GoldPoint[]; error: number }): Reading {
  const { law, points, error } = input;
  const { rootKl } = points[points.length - 1];
  const peak = law?.peak ?? Infinity;
  const limit = beyondPeak * peak;
  const beyond = points.filter((point) => point.rootKl > peak);
  return {
    signal: 'past-the-peak',
    value: rootKl,
    limit,
    severity: Math.min(
      rootKl / limit,
      points.length / leastLooks,
      (law?.explained ?? 0) / leastExplained,
      fallInErrors(beyond, error) / clearErrors,
    ),
    message: `√KL is ${round(rootKl)}; by the law fitted to the held-out scores their peak was at ${round(peak)}, a KL of ${round(peak ** 2)} nats.`,
  };
}

/** Slope of the straight line through the points, downwards, in standard errors. */
function fallInErrors(points: readonly GoldPoint[], error: number): number {
  const meanOf = (of: (point: GoldPoint) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const rootKl = meanOf((point) => point.rootKl);
  const spread = points.reduce((sum, point) => sum + (point.rootKl - rootKl) ** 2, 0);
  const product = points.reduce((sum, point) => sum + (point.rootKl - rootKl) * point.gain, 0);
  return spread > 0 ? -product / Math.sqrt(spread) / error : 0;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
