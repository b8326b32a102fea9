/**
 * What the proxy reward gains for the distance that the policy goes.
 *
 * Method: gain per √KL, in standard deviations of the first scores. The KL buys nothing any more where, since some
 * earlier point, it has grown enough to gain clearly at the best rate seen so far, and gained less than a tenth of that.
 * Reference: that reward grows about linearly in √KL, Bai et al. 2022 (arXiv 2204.05862) §4.3; the rest is ours. A
 * policy that weighs normally distributed scores by exp(r / β) gains √2 of their deviations per √nat, whatever β is.
 * Leaves out: whether the gain is real. That takes a held-out judge.
 */
import { type Reading } from './alarms';
import { percent, round } from './words';

/** Means over some iterations. */
export interface ProxyMeans {
  /** Mean of √KL, √nats. */
  readonly rootKl: number;
  /** The reward's score. */
  readonly proxy: number;
  /** Standard deviation over answers. */
  readonly proxyDeviation: number;
  /** How many scores `proxy` is the mean of. */
  readonly scores: number;
}

export interface ProxyGain {
  readonly reading: Reading;
  readonly figures: Readonly<Record<string, number>>;
  /** How far the proxy has risen since the baseline, in standard errors of that rise. */
  readonly rise: number;
}

/** Below, a rate is mostly noise. √nats. */
const leastRootKl = 0.5;
/** A policy that never gains this much per √nat has gained almost nothing. Standard deviations. */
const leastRate = 0.25;
/** Almost nothing: below this share of what the best rate would have brought. */
const leastShare = 0.1;
/** What the best rate would have brought must be this many standard errors, as there are many earlier points to compare with. */
const clearErrors = 8;
/** A rate is taken to be this many of its standard errors lower: over a short way, noise alone makes high ones. */
const rateErrors = 2;
/** Remembered points lie this factor apart in √KL, so that there are few however long the run is. */
const spacing = 1.05;

interface Point {
  readonly rootKl: number;
  readonly gain: number;
  readonly error: number;
}

/** Undefined until there is a scale: while every answer of every batch has the same score. */
export function createProxyGainReader(): (now: ProxyMeans, baseline: ProxyMeans) => ProxyGain | undefined {
  let unit = 0;
  let bestRate = leastRate;
  const earlier: Point[] = [];
  return (now, baseline) => {
    if (unit === 0) unit = baseline.proxyDeviation || now.proxyDeviation;
    if (unit === 0) return undefined;
    const pointOf = ({ rootKl, proxy, proxyDeviation, scores }: ProxyMeans): Point => ({
      rootKl,
      gain: (proxy - baseline.proxy) / unit,
      // Scores that all happen to be equal are no proof of a mean without error.
      error: Math.max(proxyDeviation / unit, 1) / Math.sqrt(scores),
    });
    const origin = { ...pointOf(baseline), rootKl: 0 };
    const point = pointOf(now);
    const { rootKl, gain } = point;
    const gainError = Math.hypot(point.error, origin.error);
    const far = rootKl >= leastRootKl;
    if (far) bestRate = Math.max(bestRate, (gain - rateErrors * gainError) / rootKl);
    const reading = worstOf([origin, ...earlier].map((from) => compare({ from, to: point, bestRate })));
    if (far && rootKl >= spacing * (earlier.at(-1)?.rootKl ?? 0)) earlier.push(point);
    return {
      reading,
      figures: { 'monitor/proxy_gain': gain, ...(far && { 'monitor/gain_per_root_kl': gain / rootKl }) },
      rise: gain / gainError,
    };
  };
}

function compare({ from, to, bestRate }: { from: Point; to: Point; bestRate: number }): Reading {
  const expected = bestRate * (to.rootKl - from.rootKl);
  const share = (to.gain - from.gain) / expected;
  const clear = expected / (clearErrors * Math.hypot(from.error, to.error));
  return {
    signal: 'kl-without-gain',
    value: share,
    limit: leastShare,
    severity: expected > 0 ? Math.min(clear, (1 - share) / (1 - leastShare)) : 0,
    message: () =>
      `√KL has grown from ${round(from.rootKl)} to ${round(to.rootKl)}, and the reward gained ${percent(share)} of what its best rate would have brought.`,
  };
}

function worstOf(readings: readonly Reading[]): Reading {
  return readings.reduce((worst, reading) => (reading.severity > worst.severity ? reading : worst));
}
