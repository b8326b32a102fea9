/**
 * What the proxy reward gains for the distance that the policy goes.
 *
 * Method: gain per √KL, in standard deviations of the first scores. A policy that weighs scores of a normal
 * distribution by exp(r / β) gains √2 of them per √nat whatever β is, so that is about the best there is. The KL buys
 * nothing any more where, since some earlier point, it has grown enough to gain clearly at the best rate seen so far,
 * and gained less than a tenth of that.
 * Reference: that reward is about linear in √KL, Bai et al. 2022 (arXiv 2204.05862) §4.3.
 * Leaves out: whether the gain is real. That takes a held-out judge.
 */
import { type Reading } from './alarms';
import { percent, round } from './words';

export interface ProxyGain {
  /** Mean of the latest iterations less that of the first ones, in standard deviations of the first scores. */
  readonly gain: number;
  /** √KL, mean of the latest iterations. */
  readonly rootKl: number;
  /** Standard error of a difference of two such gains. */
  readonly noise: number;
}

/** Below, a rate is mostly noise. √nats. */
const leastRootKl = 0.5;
/** A policy that never gains this much per √nat has gained almost nothing. Standard deviations. */
const leastRate = 0.25;
/** The gain that is missing must be this many standard errors: of every earlier point, one must not look so by chance. */
const clearErrors = 8;
/** Almost nothing: below this share of what the best rate would have brought. */
const leastShare = 0.1;
/** Points remembered lie this factor apart, so there are few however long the run. */
const spacing = 1.05;

export function createProxyGainReader(): (latest: ProxyGain) => Reading {
  const earlier = [{ rootKl: 0, gain: 0 }];
  let bestRate = leastRate;
  return ({ gain, rootKl, noise }) => {
    if (rootKl >= leastRootKl) bestRate = Math.max(bestRate, gain / rootKl);
    const worst = earlier
      .map((point) => {
        const expected = bestRate * (rootKl - point.rootKl);
        const share = (gain - point.gain) / expected;
        const severity = expected > 0 ? Math.min(expected / (clearErrors * noise), (1 - share) / (1 - leastShare)) : 0;
        return { point, share, severity };
      })
      .reduce((a, b) => (b.severity > a.severity ? b : a));
    if (rootKl >= Math.max(leastRootKl, spacing * earlier[earlier.length - 1].rootKl)) earlier.push({ rootKl, gain });
    return {
      signal: 'kl-without-gain',
      value: worst.share,
      limit: leastShare,
      severity: worst.severity,
      message: `Since √KL was ${round(worst.point.rootKl)} it has grown to ${round(rootKl)}, and the reward gained ${percent(worst.share)} of what its best rate would have brought.`,
    };
  };
}

/** Gain per √nat, in standard deviations; undefined while the policy has hardly moved. */
export function gainRate({ gain, rootKl }: ProxyGain): number | undefined {
  return rootKl >= leastRootKl ? gain / rootKl : undefined;
}
