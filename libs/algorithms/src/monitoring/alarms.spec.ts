import { createAlarms, type Reading, type Signal, signals } from './alarms';

const reading = (severity: number, signal: Signal = 'length-drift'): Reading => ({
  signal,
  value: severity,
  limit: 1,
  severity,
  message: () => `severity ${severity}`,
});

describe('alarms', () => {
  /** What happens at each severity: + raised, − cleared, . nothing. */
  const trace = (severities: readonly number[]): string => {
    const alarms = createAlarms();
    return severities
      .map((severity, iteration) => {
        const { raised, cleared } = alarms.update(iteration, [reading(severity)]);
        return raised.length ? '+' : cleared.length ? '-' : '.';
      })
      .join('');
  };

  it('are raised once, cleared below 0.8, and raised again', () => {
    expect(trace([0, 0.99, 1, 3, 0.99, 1.1, 0.8, 0.79, 0.9, 0.99, 1, 0])).toBe('..+....-..+-');
  });

  it('take NaN for health', () => {
    expect(trace([NaN, 2, NaN, NaN])).toBe('.+-.');
  });

  it('say when, what, how much and what to do', () => {
    const alarms = createAlarms();
    alarms.update(6, [reading(0.5)]);
    const { raised } = alarms.update(7, [reading(1.5)]);
    expect(raised).toEqual([
      {
        signal: 'length-drift',
        since: 7,
        value: 1.5,
        limit: 1,
        message: 'severity 1.5',
        hint: expect.stringContaining('Read some answers'),
      },
    ]);
    expect(alarms.update(9, [reading(0)]).cleared).toEqual(raised);
  });

  it('are independent of each other, and stay without a reading', () => {
    const alarms = createAlarms();
    for (const [index, signal] of signals.entries()) {
      expect(alarms.update(index, [reading(2, signal)]).raised.map((alarm) => alarm.signal)).toEqual([signal]);
    }
    expect(alarms.count()).toBe(signals.length);
    expect(alarms.update(20, [reading(0, 'eos-missing')]).cleared).toHaveLength(1);
    expect(alarms.count()).toBe(signals.length - 1);
  });
});
