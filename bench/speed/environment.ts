import { execFileSync } from 'node:child_process';
import { arch, cpus, loadavg, platform, release, totalmem } from 'node:os';
import type { Options } from './options';
import type { Sitting } from './sitting';

export interface Environment {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly system: string;
  /** Of 1, 5 and 15 minutes, before anything was measured. */
  readonly loadAverage: readonly number[];
  readonly date: string;
  /** Of this repository; null outside of git. */
  readonly commit: string | null;
  readonly settings: Pick<Options, 'precision' | 'rounds' | 'seconds' | 'threads' | 'seed'>;
}

export function environmentOf({ mode, precision, rounds, seconds, threads, seed }: Options): Environment {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    loadAverage: loadavg().map((load) => Number(load.toFixed(2))),
    date: new Date().toISOString(),
    commit: commit(),
    settings: { precision, rounds: mode === 'sitting' ? rounds : 1, seconds, threads, seed },
  };
}

function commit(): string | null {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim();
  } catch {
    return null;
  }
}

export function describeEnvironment(environment: Environment): string {
  const { cpu, cores, memoryGib, system, loadAverage, settings } = environment;
  const { precision, rounds, seconds, threads, seed } = settings;
  return [
    `machine   ${cpu}, ${cores} cores, ${memoryGib} GiB; ${system}; load average ${loadAverage.join(' ')} at the start`,
    `settings  ${precision}, ${threads} threads, ${rounds} ${rounds === 1 ? 'round' : 'rounds'} of ${seconds} s, seed ${seed}; commit ${environment.commit ?? 'unknown'}`,
  ].join('\n');
}

/** Versions as the measured processes told them, of both sides. */
export function versionsOf({ found }: Sitting): Record<'ours' | 'peer', Record<string, string | number>> {
  const ours = found.flatMap((one) => one.ours);
  const peers = found.flatMap(({ peers }) => [...peers.values()].flat());
  const all = (measurements: typeof ours): Record<string, string | number> =>
    Object.assign({}, ...measurements.map(({ versions }) => versions)) as Record<string, string | number>;
  return { ours: all(ours), peer: all(peers) };
}
