/**
 * Watches a PPO run for over-optimisation of its reward (docs/stages/monitoring.md).
 *
 * Method: once per iteration,
 *  1. reduce the answers to figures,
 *  2. average the latest iterations, and the first ones as the baseline,
 *  3. read each signal: endings, drift of length, entropy and duplicates, the proxy's gain per √KL, the held-out judge,
 *  4. raise the alarms of the signals that passed their limits, and clear those that came back.
 * It measures and says so; the stage decides what to do.
 * Leaves out: answers that are alike without being equal, and whatever changes neither these figures nor the held-out
 * judge's mind.
 */
import { type Alarm, createAlarms, type Reading } from './alarms';
import { type DriftOptions, type Looks, readDrift, readEndings } from './drift';
import { createHeldOutReader } from './held-out';
import { type MonitorObservation, type Summary, summarise } from './observation';
import { createProxyGainReader, type ProxyMeans } from './proxy-gain';

export interface MonitorOptions extends DriftOptions {
  /** First iterations, whose means the drifts are measured from. */
  readonly baseline: number;
  /** Fall of the held-out score below its best, in standard deviations of its first scores. */
  readonly heldOutDrop: number;
}

export interface Monitored {
  /** Figures to log, `monitor/…`; all finite. Those that cannot be told yet are left out. */
  readonly figures: Readonly<Record<string, number>>;
  /** Alarms raised in this iteration. */
  readonly alarms: readonly Alarm[];
  /** Alarms raised earlier that are over. */
  readonly cleared: readonly Alarm[];
}

export interface Monitor {
  /**
   * Once per iteration, in order.
   *
   * @throws NonFiniteError for a KL, an entropy or a mean score that is NaN or infinite.
   */
  observe(observation: MonitorObservation): Monitored;
}

/** Latest iterations that are averaged, so that no single batch raises an alarm. */
const window = 5;

export function createMonitor(options: MonitorOptions): Monitor {
  const alarms = createAlarms();
  const readProxyGain = createProxyGainReader();
  const readHeldOut = createHeldOutReader(options);
  const first: Summary[] = [];
  const latest: Summary[] = [];
  let baseline: Means | undefined;

  return {
    observe: (observation) => {
      // 1.
      const summary = summarise(observation);
      const { iteration, answers, rootKl, heldOut } = summary;

      // 2.
      latest.push(summary);
      if (latest.length > window) latest.shift();
      const now = meansOf(latest);
      const readings: Reading[] = [];
      const figures: Record<string, number> = {
        'monitor/root_kl': rootKl,
        'monitor/duplicate_fraction': now.duplicates,
        'monitor/eos_fraction': now.finished,
      };
      if (!baseline) {
        first.push(summary);
        if (first.length === options.baseline) baseline = meansOf(first);
      }

      // 3.
      readings.push(readEndings(now, baseline, options));
      let proxyRise = 0;
      if (baseline) {
        readings.push(...readDrift(now, baseline, options));
        figures['monitor/length_ratio'] = now.length / baseline.length;
        if (baseline.entropy > 0) figures['monitor/entropy_ratio'] = now.entropy / baseline.entropy;
        const proxy = readProxyGain(now, baseline);
        if (proxy) {
          readings.push(proxy.reading);
          Object.assign(figures, proxy.figures);
          proxyRise = proxy.rise;
        }
      }
      if (heldOut) {
        const judged = readHeldOut({ ...heldOut, rootKl, answers, proxyRise });
        Object.assign(figures, judged.figures);
        if (baseline) readings.push(...judged.readings);
      }

      // 4.
      const { raised, cleared } = alarms.update(iteration, readings);
      return { figures: { ...figures, 'monitor/alarms': alarms.count() }, alarms: raised, cleared };
    },
  };
}

type Means = Looks & ProxyMeans;

function meansOf(summaries: readonly Summary[]): Means {
  const mean = (of: (summary: Summary) => number): number =>
    summaries.reduce((sum, summary) => sum + of(summary), 0) / summaries.length;
  return {
    rootKl: mean(({ rootKl }) => rootKl),
    entropy: mean(({ entropy }) => entropy),
    proxy: mean(({ proxy }) => proxy),
    proxyDeviation: mean(({ proxyDeviation }) => proxyDeviation),
    scores: summaries.reduce((sum, { answers }) => sum + answers, 0),
    length: mean(({ length }) => length),
    duplicates: mean(({ duplicates }) => duplicates),
    finished: mean(({ finished }) => finished),
  };
}
