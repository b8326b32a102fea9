import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What the engine says of a container. */
export interface Container {
  readonly id: string;
  readonly service: string;
  readonly running: boolean;
  /** `healthy`, `unhealthy` or `starting`. */
  readonly health: string | undefined;
  readonly startedAt: string;
  readonly exitCode: number;
}

interface Inspected {
  readonly Id: string;
  readonly Config: { readonly Labels: Readonly<Record<string, string>> };
  readonly State: {
    readonly Running: boolean;
    readonly StartedAt: string;
    readonly ExitCode: number;
    readonly Health?: { readonly Status: string };
  };
}

/** An installation of Pavlov under a project name of its own: what an operator would type. */
export interface Stack {
  /** Aborts when the stack is to be used no longer. */
  readonly signal: AbortSignal;
  docker(...args: string[]): Promise<string>;
  compose(...args: string[]): Promise<string>;
  /** Containers of a service, or all; also those that have stopped. */
  containers(service?: string): Promise<Container[]>;
}

export function openStack(options: {
  readonly root: string;
  readonly project: string;
  readonly signal: AbortSignal;
}): Stack {
  const { root, project, signal } = options;
  const file = join(root, 'docker', 'compose.yaml');
  // Any free port of this machine; nothing that the caller's own installation is set to.
  const env = { ...process.env, PAVLOV_ADDRESS: '127.0.0.1', PAVLOV_PORT: '0', PAVLOV_REDIS_URL: '', LOG_LEVEL: '' };
  const docker = async (...args: string[]): Promise<string> => {
    const { stdout } = await run('docker', args, { cwd: root, env, signal, maxBuffer: 2 ** 28 });
    return stdout.trim();
  };
  const compose = (...args: string[]): Promise<string> => docker('compose', '-p', project, '-f', file, ...args);
  return {
    signal,
    docker,
    compose,
    containers: async (service) => {
      const ids = lines(await compose('ps', '--all', '--quiet', ...(service === undefined ? [] : [service])));
      if (ids.length === 0) return [];
      return (JSON.parse(await docker('inspect', ...ids)) as Inspected[]).map(({ Id, Config, State }) => ({
        id: Id,
        service: Config.Labels['com.docker.compose.service'],
        running: State.Running,
        health: State.Health?.Status,
        startedAt: State.StartedAt,
        exitCode: State.ExitCode,
      }));
    },
  };
}

export const lines = (text: string): string[] => text.split('\n').filter((line) => line.trim() !== '');
