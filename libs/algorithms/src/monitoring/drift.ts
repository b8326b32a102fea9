/**
 * Drift of the answers' looks: length, entropy, duplicates, endings.
 *
 * Method: the mean of the latest iterations against that of the first ones.
 */
import { type Reading } from './alarms';
import { percent, round } from './words';

/** Means over some iterations. */
export interface Looks {
  readonly length: number;
  readonly entropy: number;
  readonly duplicates: number;
  readonly finished: number;
}

export interface DriftOptions {
  /** Factor, above 1, up or down. */
  readonly lengthDrift: number;
  /** Share of the baseline's entropy. */
  readonly entropyFraction: number;
  /** Share of a batch, beyond the baseline's. */
  readonly duplicateFraction: number;
  /** Least share of answers that end by themselves. */
  readonly eosFraction: number;
}

/** Where many answers are cut off anyhow and `eosFraction` is low, a fall to this share of the baseline still counts. */
const eosShareOfBaseline = 0.8;

/** Needs no baseline: too few endings are too few from the first answer on. */
export function readEndings(now: Looks, baseline: Looks | undefined, options: DriftOptions): Reading {
  const limit = Math.max(options.eosFraction, eosShareOfBaseline * (baseline?.finished ?? 0));
  return {
    signal: 'eos-missing',
    value: now.finished,
    limit,
    // A limit of 0 is never fallen below.
    severity: limit > 0 ? (1 - now.finished) / (1 - limit) : 0,
    message: () => `Only ${percent(now.finished)} of the answers end by themselves; the limit is ${percent(limit)}.`,
  };
}

export function readDrift(now: Looks, baseline: Looks, options: DriftOptions): Reading[] {
  return [
    readLength(now, baseline, options),
    readEntropy(now, baseline, options),
    readDuplicates(now, baseline, options),
  ];
}

function readLength(now: Looks, baseline: Looks, { lengthDrift }: DriftOptions): Reading {
  const ratio = now.length / baseline.length;
  return {
    signal: 'length-drift',
    value: ratio,
    limit: ratio > 1 ? lengthDrift : 1 / lengthDrift,
    severity: Math.abs(Math.log(ratio)) / Math.log(lengthDrift),
    message: () =>
      `Answers have ${round(now.length)} tokens on average, ${round(ratio)} times as many as the ${round(baseline.length)} at first.`,
  };
}

function readEntropy(now: Looks, baseline: Looks, { entropyFraction }: DriftOptions): Reading {
  const share = now.entropy / baseline.entropy;
  return {
    signal: 'entropy-collapse',
    value: share,
    limit: entropyFraction,
    severity: (1 - share) / (1 - entropyFraction),
    message: () =>
      `The entropy is ${round(now.entropy)} nats per token, ${percent(share)} of the ${round(baseline.entropy)} at first.`,
  };
}

function readDuplicates(now: Looks, baseline: Looks, { duplicateFraction }: DriftOptions): Reading {
  const limit = baseline.duplicates + duplicateFraction;
  return {
    signal: 'duplicate-answers',
    value: now.duplicates,
    limit,
    severity: (now.duplicates - baseline.duplicates) / duplicateFraction,
    message: () =>
      `${percent(now.duplicates)} of the answers are also given to another prompt; at first it was ${percent(baseline.duplicates)}.`,
  };
}
