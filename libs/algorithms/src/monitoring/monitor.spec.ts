import { goldReward } from './gold-law';
import { createMonitor, type Monitored, type MonitorOptions } from './monitor';
import { type MonitorObservation } from './observation';
import { healthy, observations, rightOrWrong, type Run, type Truth } from './spec-support';

const defaults: MonitorOptions = {
  baseline: 3,
  lengthDrift: 1.5,
  entropyFraction: 0.1,
  duplicateFraction: 0.5,
  eosFraction: 0.8,
  heldOutDrop: 0.5,
};

function watch(stream: Iterable<MonitorObservation>, options: Partial<MonitorOptions> = {}): Monitored[] {
  const monitor = createMonitor({ ...defaults, ...options });
  return Array.from(stream, (observation) => monitor.observe(observation));
}
/** Every alarm raised, in order. */
const alarmsOf = (monitored: readonly Monitored[]) => monitored.flatMap(({ alarms }) => alarms);
const signalsOf = (monitored: readonly Monitored[]) => alarmsOf(monitored).map(({ signal }) => signal);
const seeds = Array.from({ length: 5 }, (_, seed) => seed);
const run = (change: Partial<Run>): Generator<MonitorObservation> =>
  observations({ seed: 0, iterations: 100, batchSize: 64, truth: healthy, ...change });
const after = (progress: number, from: number): number => Math.min(1, Math.max(0, (progress - from) / 0.2));

describe('the monitor of a healthy run', () => {
  it.each(seeds)('says nothing in 200 noisy iterations (seed %i)', (seed) => {
    const monitored = watch(run({ seed, iterations: 200, every: 5 }));
    expect(alarmsOf(monitored)).toEqual([]);
    for (const { figures } of monitored) {
      for (const [name, value] of Object.entries(figures)) expect([name, Number.isFinite(value)]).toEqual([name, true]);
    }
  });

  it.each([8, 256])('says nothing whatever the batch size, and with a look every time (B = %i)', (batchSize) => {
    for (const seed of [0, 1, 2]) expect(alarmsOf(watch(run({ seed, batchSize, every: 1 })))).toEqual([]);
  });

  it('says nothing where scores are 0 or 1 and hardly any is 1 at first', () => {
    const truth = (progress: number): Truth => ({
      ...healthy(progress),
      proxy: 0.01 + 0.6 * after(progress, 0.2),
      heldOut: 0.01 + 0.5 * after(progress, 0.2),
    });
    for (const seed of seeds) expect(alarmsOf(watch(run({ seed, every: 2, truth, draw: rightOrWrong })))).toEqual([]);
  });

  it('says nothing along a plateau that the law of √KL would bend downwards', () => {
    const truth = (progress: number): Truth => {
      const rootKl = 6 * progress;
      return { ...healthy(progress), kl: rootKl ** 2, proxy: rootKl, heldOut: 1 - Math.exp(-rootKl) };
    };
    for (const seed of seeds) {
      const monitored = watch(run({ seed, every: 2, truth }));
      const { figures } = monitored[98];
      expect(figures['monitor/law_peak']).toBeLessThan(0.9 * figures['monitor/root_kl']);
      expect(alarmsOf(monitored)).toEqual([]);
    }
  });

  it('says the same twice', () => {
    expect(watch(run({ seed: 3, every: 5 }))).toEqual(watch(run({ seed: 3, every: 5 })));
  });

  it('measures what it is shown', () => {
    const exact: MonitorObservation = {
      iteration: 0,
      kl: 4,
      entropy: 0.5,
      scores: [0, 2],
      prompts: [0, 1],
      responses: [
        [1, 2],
        [1, 2],
      ],
      finished: [true, true],
    };
    const later = { ...exact, scores: [3, 5], entropy: 0.25, responses: [[1, 2, 3], [4]], finished: [true, true] };
    const monitor = createMonitor({ ...defaults, baseline: 1 });
    monitor.observe(exact);
    const { figures } = monitor.observe({ ...later, iteration: 1 });
    // Means of both iterations, against the first; its scores have mean 1 and deviation 1.
    expect(figures).toEqual({
      'monitor/root_kl': 2,
      'monitor/duplicate_fraction': 0.5,
      'monitor/eos_fraction': 1,
      'monitor/length_ratio': 1,
      'monitor/entropy_ratio': 0.75,
      'monitor/proxy_gain': 1.5,
      'monitor/gain_per_root_kl': 0.75,
      'monitor/alarms': 0,
    });
  });
});

const withLaw = ({ alpha, beta, farthest }: { alpha: number; beta: number; farthest: number }) =>
  function truth(progress: number): Truth {
    const rootKl = farthest * progress;
    return { ...healthy(progress), kl: rootKl ** 2, proxy: rootKl, heldOut: goldReward({ alpha, beta, rootKl }) };
  };

describe('each signal by itself', () => {
  const cases: Record<
    string,
    { truth: (progress: number) => Truth; every?: number; options?: Partial<MonitorOptions> }
  > = {
    'eos-missing': { truth: (p) => ({ ...healthy(p), finished: 0.97 - 0.4 * after(p, 0.5) }) },
    'length-drift': { truth: (p) => ({ ...healthy(p), length: 12 * (1 + after(p, 0.5)) }) },
    'entropy-collapse': { truth: (p) => ({ ...healthy(p), entropy: 1.2 - 1.18 * after(p, 0.5) }) },
    'duplicate-answers': { truth: (p) => ({ ...healthy(p), same: 0.05 + 0.8 * after(p, 0.5) }) },
    'kl-without-gain': { truth: (p) => ({ ...healthy(p), kl: (5 * p) ** 2, proxy: Math.min(2, 5 * p) }) },
    'held-out-falling': {
      truth: (p) => ({ ...healthy(p), heldOut: healthy(p).heldOut - 1.5 * after(p, 0.7) }),
      every: 5,
    },
    // Falls of any size are forgiven, so that the law is left to say it.
    'past-the-peak': {
      truth: withLaw({ alpha: 1, beta: 0.6, farthest: 5 }),
      every: 2,
      options: { heldOutDrop: 100 },
    },
  };

  it.each(Object.entries(cases))('%s raises its alarm, once, and no other', (signal, { truth, every, options }) => {
    for (const seed of seeds) {
      const alarms = alarmsOf(watch(run({ seed, truth, every, batchSize: 128 }), options));
      expect(alarms.map((alarm) => alarm.signal)).toEqual([signal]);
      expect(alarms[0].message).toMatch(/^[A-Z√0-9].*\.$/);
    }
  });

  it('finds answers that shrink, too', () => {
    const truth = (p: number): Truth => ({ ...healthy(p), length: 12 * (1 - 0.6 * after(p, 0.5)) });
    const [alarm, ...others] = alarmsOf(watch(run({ truth })));
    expect(others).toEqual([]);
    expect(alarm).toMatchObject({ signal: 'length-drift', limit: 1 / 1.5 });
    expect(alarm.value).toBeLessThan(1 / 1.5);
  });

  it('finds fewer endings than at first where the limit allows them', () => {
    const truth = (p: number): Truth => ({ ...healthy(p), finished: 0.7 - 0.5 * after(p, 0.5) });
    expect(signalsOf(watch(run({ truth }), { eosFraction: 0.1 }))).toEqual(['eos-missing']);
  });

  it('expects no endings where the limit is 0 and there never were any', () => {
    const truth = (p: number): Truth => ({ ...healthy(p), finished: 0 });
    expect(signalsOf(watch(run({ truth }), { eosFraction: 0 }))).toEqual([]);
  });

  it('counts duplicates beyond those of the baseline', () => {
    const truth = (p: number): Truth => ({ ...healthy(p), same: 0.7 });
    expect(signalsOf(watch(run({ truth })))).toEqual([]);
  });

  it.each(seeds)('by the law of √KL: after the peak, and before half of the best is lost (seed %i)', (seed) => {
    const [alpha, beta] = [1, 0.7];
    const peak = Math.exp(alpha / beta - 1);
    const monitored = watch(run({ seed, every: 2, batchSize: 256, truth: withLaw({ alpha, beta, farthest: 4 }) }));
    const alarm = alarmsOf(monitored).find(({ signal }) => signal === 'past-the-peak');
    const rootKl = (4 * (alarm?.since ?? 0)) / 99;
    expect(rootKl).toBeGreaterThan(peak);
    expect(goldReward({ alpha, beta, rootKl })).toBeGreaterThan((beta * peak) / 2);
  });

  it('one look alone, however low, does not make the held-out score fall', () => {
    const stream = [...run({ every: 5 })].map((observation) =>
      observation.iteration === 60 ? { ...observation, heldOutScores: new Float32Array(64).fill(-50) } : observation,
    );
    expect(signalsOf(watch(stream))).toEqual([]);
  });

  it('a held-out score that falls with the reward is no over-optimisation', () => {
    const truth = (p: number): Truth => {
      const fall = 2 * after(p, 0.3);
      return { ...healthy(p), kl: 0.01, proxy: -fall, heldOut: -fall };
    };
    for (const seed of seeds) expect(signalsOf(watch(run({ seed, every: 2, truth })))).toEqual([]);
  });
});

describe('whole runs that went wrong', () => {
  it('finds the policy that says "The pig is pink" to every question, without any judge', () => {
    // Reward rises from iteration to iteration, KL goes to 14 nats, and nearly every answer becomes the same.
    const truth = (p: number): Truth => ({
      ...healthy(p),
      kl: 14 * p,
      proxy: 1.2 * Math.sqrt(14 * p),
      entropy: 0.6 * (1 - 0.97 * after(p, 0.4)),
      same: 0.02 + 0.96 * after(p, 0.4),
    });
    for (const seed of seeds) {
      const found = signalsOf(watch(run({ seed, iterations: 60, batchSize: 128, truth })));
      expect([...found].sort()).toEqual(['duplicate-answers', 'entropy-collapse']);
    }
  });

  it('finds a KL that grows while the reward never gains', () => {
    const truth = (p: number): Truth => ({ ...healthy(p), kl: 25 * p ** 2, proxy: 0 });
    for (const seed of seeds) expect(signalsOf(watch(run({ seed, truth })))).toEqual(['kl-without-gain']);
  });
});

describe('the monitor’s edges', () => {
  it('raises nothing but missing endings before the baseline is complete', () => {
    const stream = [...run({ iterations: 6, truth: (p) => ({ ...healthy(p), finished: 0.2, length: 12 + 100 * p }) })];
    expect(alarmsOf(watch(stream, { baseline: 6 }))).toMatchObject([{ signal: 'eos-missing', since: 0, limit: 0.8 }]);
    const past = run({ every: 1, batchSize: 256, truth: withLaw({ alpha: 1, beta: 0.7, farthest: 4 }) });
    const late = alarmsOf(watch(past, { baseline: 90 }));
    expect(late.map(({ signal }) => signal)).toContain('past-the-peak');
    for (const { since } of late) expect(since).toBeGreaterThanOrEqual(89);
  });

  it('an alarm does not flicker at its limit, and comes again when its cause does', () => {
    const lengths = [
      10,
      10,
      10,
      ...new Array(30).fill(0).map((_, i) => 15 + (i % 2)),
      ...new Array(10).fill(10),
      ...new Array(10).fill(20),
    ];
    const stream = lengths.map((length, iteration) => ({
      iteration,
      kl: 1,
      entropy: 1,
      scores: [0, 1],
      prompts: [0, 1],
      responses: [new Array<number>(length).fill(iteration), new Array<number>(length).fill(-1)],
      finished: [true, true],
    }));
    const monitored = watch(stream);
    expect(alarmsOf(monitored).map(({ signal, since }) => [signal, since])).toEqual([
      ['length-drift', 7],
      ['length-drift', 45],
    ]);
    expect(monitored.flatMap(({ cleared }, iteration) => cleared.map(({ since }) => [since, iteration]))).toEqual([
      [7, 34],
    ]);
  });

  it('takes a KL below 0 for 0', () => {
    const stream = [...run({ every: 2 })].map((observation) => ({ ...observation, kl: -Math.abs(observation.kl) }));
    const monitored = watch(stream);
    expect(signalsOf(monitored)).toEqual([]);
    for (const { figures } of monitored) expect(figures['monitor/root_kl']).toBe(0);
    expect(monitored[98].figures).not.toHaveProperty('monitor/law_peak');
  });

  it('stays silent where a judge or a reward says one thing only', () => {
    const constant = (_: unknown, mean: number): number => Math.round(mean) * 0;
    expect(signalsOf(watch(run({ every: 2, draw: constant })))).toEqual([]);
  });

  it('refuses numbers that are none, and lists of different length', () => {
    const [observation] = run({ every: 1 });
    const observe = (change: Partial<MonitorObservation>) => () =>
      createMonitor(defaults).observe({ ...observation, ...change });
    expect(observe({ kl: NaN })).toThrow('kl is NaN at step 0');
    expect(observe({ scores: new Float32Array(64).fill(Infinity) })).toThrow('mean score is Infinity');
    expect(observe({ heldOutScores: new Float32Array(64).fill(NaN) })).toThrow('mean held-out score is NaN');
    expect(observe({ heldOutScores: [1] })).toThrow('heldOutScores (1)');
  });
});
