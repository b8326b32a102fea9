import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** What `measure` found. */
export interface Timing {
  /** Median seconds of a run. */
  readonly seconds: number;
  readonly iterations: number;
  /** Cores that other processes used meanwhile. */
  readonly others: number;
}

const warmUpRuns = 2;
const fewestRuns = 3;

/** Times `run` again and again until the runs took `seconds` together; the first two fill caches and are not counted. */
export async function measure(run: () => unknown, { seconds }: { seconds: number }): Promise<Timing> {
  for (let n = 0; n < warmUpRuns; n++) await run();
  const load = watchOthers();
  const times: number[] = [];
  let total = 0;
  while (times.length < fewestRuns || total < seconds) {
    const before = performance.now();
    await run();
    const taken = (performance.now() - before) / 1000;
    times.push(taken);
    total += taken;
  }
  return { seconds: median(times), iterations: times.length, others: load() };
}

/** Tells, when called, how many cores other processes have used since. */
export function watchOthers(): () => number {
  const [machine, own, started] = [machineMs(), process.cpuUsage(), performance.now()];
  return () => {
    const { user, system } = process.cpuUsage(own);
    const others = machineMs() - machine - (user + system) / 1000;
    return Math.max(0, others / (performance.now() - started));
  };
}

const machineMs = (): number =>
  cpus().reduce((sum, { times: { user, nice, sys, irq } }) => sum + user + nice + sys + irq, 0);

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Largest resident size of this process, in MiB. Not `maxRSS`, in which Linux counts the process that started this one. */
export function peakMib(): number {
  try {
    const [, kib] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    if (kib !== undefined) return Number(kib) / 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS / 1024;
}
