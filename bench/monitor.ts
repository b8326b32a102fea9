/**
 * What the monitor costs per iteration, and on synthetic runs what it finds and when.
 *   node scripts/bench.mjs monitor [seeds]
 */
import { createGuards, createMonitor, goldReward, type MonitorOptions } from '@pavlov/algorithms';
import { healthy, observations, type Run, type Truth } from '../libs/algorithms/src/monitoring/spec-support';

const options: MonitorOptions = {
  baseline: 3,
  lengthDrift: 1.5,
  entropyFraction: 0.1,
  duplicateFraction: 0.5,
  eosFraction: 0.8,
  heldOutDrop: 0.5,
};

/** √KL grows evenly to `farthest`; of the proxy each √nat brings as much as the held-out judge gives it at first. */
const following = ({ alpha, beta, farthest }: { alpha: number; beta: number; farthest: number }) =>
  function truth(progress: number): Truth {
    const rootKl = farthest * progress;
    const heldOut = goldReward({ alpha, beta, rootKl });
    return { ...healthy(progress), kl: rootKl ** 2, proxy: alpha * rootKl, heldOut };
  };

const cases: Record<string, Run['truth']> = {
  healthy,
  'law 1, 0.5; √KL to 6': following({ alpha: 1, beta: 0.5, farthest: 6 }),
  'law 0.35, 0.15; √KL to 10': following({ alpha: 0.35, beta: 0.15, farthest: 10 }),
};

function main([seeds = '20']: string[]): void {
  for (const [name, truth] of Object.entries(cases)) {
    for (const batchSize of [32, 128, 512]) {
      const found = find({ truth, batchSize, seeds: Number(seeds) });
      console.log(`${name}, B ${batchSize}: ${found.join('; ') || 'no alarm'}`);
    }
  }
  const batches = [...observations({ seed: 1, iterations: 100, batchSize: 512, every: 5, truth: long })];
  const monitor = createMonitor(options);
  const guards = createGuards({ kl: 100, entropy: 1e-4, equalRewards: 3 });
  for (const batch of batches) monitor.observe(batch); // compiled by now
  time('monitor, 512 answers of 200 tokens', batches, (batch) => monitor.observe(batch));
  time('guards, the same', batches, (batch) => guards.check(batch));
}

const long = (progress: number): Truth => ({ ...healthy(progress), length: 200 });

/** 200 iterations per seed, with a look every 5: for each signal, in how many runs and when it was first raised. */
function find({ truth, batchSize, seeds }: { truth: Run['truth']; batchSize: number; seeds: number }): string[] {
  const first = new Map<string, number[]>();
  for (let seed = 0; seed < seeds; seed++) {
    const monitor = createMonitor(options);
    const seen = new Set<string>();
    for (const observation of observations({ seed, iterations: 200, batchSize, every: 5, truth })) {
      for (const { signal, since } of monitor.observe(observation).alarms) {
        if (!seen.has(signal)) first.set(signal, [...(first.get(signal) ?? []), since]);
        seen.add(signal);
      }
    }
  }
  return [...first].map(([signal, at]) => {
    const rootKl = (i: number): string => Math.sqrt(truth(i / 199).kl).toFixed(1);
    return `${signal} in ${at.length} of ${seeds}, median √KL ${rootKl(at.sort((a, b) => a - b)[at.length >> 1])}`;
  });
}

function time<T>(name: string, items: readonly T[], work: (item: T) => unknown): void {
  const times = items.map((item) => {
    const start = performance.now();
    work(item);
    return performance.now() - start;
  });
  const median = times.sort((a, b) => a - b)[times.length >> 1];
  console.log(`${name}: ${median.toFixed(2)} ms, median of ${times.length}`);
}

main(process.argv.slice(2));
