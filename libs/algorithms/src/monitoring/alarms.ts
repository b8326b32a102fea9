/**
 * Alarms that ring once: raised when a signal passes its limit, cleared when it is back by a margin.
 *
 * Method: hysteresis (a Schmitt trigger) on a severity that is 0 in health and 1 at the limit.
 */

/** The stable names of what the monitor watches. */
export const signals = [
  'held-out-falling',
  'past-the-peak',
  'kl-without-gain',
  'length-drift',
  'entropy-collapse',
  'duplicate-answers',
  'eos-missing',
] as const;
export type Signal = (typeof signals)[number];

/** One measurement of a signal. */
export interface Reading {
  readonly signal: Signal;
  readonly value: number;
  /** The value at which the alarm is raised. */
  readonly limit: number;
  /** 0 in health, 1 at the limit. NaN counts as health. */
  readonly severity: number;
  /** What happened, in a sentence; called only when the alarm is raised. */
  readonly message: () => string;
}

export interface Alarm {
  readonly signal: Signal;
  /** The iteration in which it was raised. */
  readonly since: number;
  readonly value: number;
  readonly limit: number;
  /** What happened, in a sentence. */
  readonly message: string;
  /** What to do about it. */
  readonly hint: string;
}

/** A signal that has come back this far, measured from health, no longer counts: it would flicker at the limit itself. */
const clearedBelow = 0.8;

const hints: Readonly<Record<Signal, string>> = {
  'held-out-falling':
    'Stop here or go back to an earlier policy, raise klCoefficient, or train a better reward model on these answers.',
  'past-the-peak': 'Stop near the predicted KL: an adaptive klController can hold it there.',
  'kl-without-gain': 'Raise klCoefficient or lower the learning rate; more iterations will not help.',
  'length-drift': 'Read some answers. If length is all that they gained, penalise it or balance it in the rankings.',
  'entropy-collapse': 'Raise klCoefficient, or lower the learning rate or the number of epochs.',
  'duplicate-answers': 'Read some answers: the reward pays for one text whatever was asked. Rank such answers lower.',
  'eos-missing': 'Lower missingEosReward or raise maxNewTokens; if it began like this, teach the policy EOS in SFT.',
};

export interface AlarmChanges {
  readonly raised: readonly Alarm[];
  readonly cleared: readonly Alarm[];
}

export interface Alarms {
  /** Signals without a reading stay as they are. */
  update(iteration: number, readings: readonly Reading[]): AlarmChanges;
  /** How many are raised now. */
  count(): number;
}

export function createAlarms(): Alarms {
  const active = new Map<Signal, Alarm>();
  return {
    count: () => active.size,
    update: (iteration, readings) => {
      const raised: Alarm[] = [];
      const cleared: Alarm[] = [];
      for (const { signal, value, limit, severity, message } of readings) {
        const current = active.get(signal);
        if (!current && severity >= 1) {
          const alarm = { signal, since: iteration, value, limit, message: message(), hint: hints[signal] };
          active.set(signal, alarm);
          raised.push(alarm);
        } else if (current && !(severity >= clearedBelow)) {
          active.delete(signal);
          cleared.push(current);
        }
      }
      return { raised, cleared };
    },
  };
}
