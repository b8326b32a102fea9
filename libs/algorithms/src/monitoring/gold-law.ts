/**
 * How true quality follows the distance from the reference, and where it peaks.
 *
 * Method: R(d) = d · (α − β · ln d) with d = √KL, fitted to what a held-out judge says by least squares in (α, β). For
 * β > 0 it peaks at d* = exp(α / β − 1), where R = β · d*.
 * Reference: Gao, Schulman and Hilton 2022 (arXiv 2210.10760) §1, the form for RL.
 * Leaves out: their form for best-of-n, d · (α − β · d), and the behaviour near 0, where the slope is infinite and they do
 * not expect the law to hold.
 */

export interface GoldPoint {
  /** d = √KL, KL in nats per answer. */
  readonly rootKl: number;
  /** Held-out score less that of the reference, in any unit. */
  readonly gain: number;
}

export interface GoldLaw {
  readonly alpha: number;
  readonly beta: number;
  /** d*, the √KL at which the law peaks; undefined if it rises for ever. */
  readonly peak: number | undefined;
  /** Share of the gains' variance that the law explains; below 0 it explains less than their mean does. */
  readonly explained: number;
}

/** Undefined for points that do not determine it: fewer than two distances above 0. */
export function fitGoldLaw(points: readonly GoldPoint[]): GoldLaw | undefined {
  let dd = 0;
  let dl = 0;
  let ll = 0;
  let dg = 0;
  let lg = 0;
  let total = 0;
  for (const { rootKl, gain } of points) {
    const l = timesLog(rootKl);
    dd += rootKl * rootKl;
    dl += rootKl * l;
    ll += l * l;
    dg += rootKl * gain;
    lg += l * gain;
    total += gain;
  }
  const determinant = dd * ll - dl * dl;
  if (!(determinant > 1e-9 * dd * ll)) return undefined;
  const alpha = (dg * ll - lg * dl) / determinant;
  const beta = (dg * dl - lg * dd) / determinant;
  const mean = total / points.length;
  let left = 0;
  let variance = 0;
  for (const { rootKl, gain } of points) {
    left += (gain - goldReward({ alpha, beta, rootKl })) ** 2;
    variance += (gain - mean) ** 2;
  }
  const peak = beta > 0 ? Math.exp(alpha / beta - 1) : Infinity;
  return {
    alpha,
    beta,
    peak: Number.isFinite(peak) ? peak : undefined,
    explained: variance > 0 ? 1 - left / variance : 0,
  };
}

/** R(d), in the unit of α and β. */
export function goldReward({ alpha, beta, rootKl }: { alpha: number; beta: number; rootKl: number }): number {
  return alpha * rootKl - beta * timesLog(rootKl);
}

function timesLog(d: number): number {
  return d > 0 ? d * Math.log(d) : 0;
}
