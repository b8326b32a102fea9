import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { type Logger } from 'pino';

const run = promisify(execFile);

export interface RedisBinary {
  readonly path: string;
  /** What the binary must believe to be called. */
  readonly argv0: string;
}

/**
 * Redis and Valkey are one binary each, which tells by its name what it is to do. So Debian's `redis-tools`, which
 * starts no system service, has the server too, named as one of the tools.
 */
const candidates = [
  { file: 'redis-server', argv0: 'redis-server' },
  { file: 'valkey-server', argv0: 'valkey-server' },
  { file: 'redis-check-rdb', argv0: 'redis-server' },
  { file: 'valkey-check-rdb', argv0: 'valkey-server' },
] as const;

/** None of these starts a system service. */
const installers = [
  { manager: 'apt-get', commands: [['update'], ['install', '-y', '--no-install-recommends', 'redis-tools']] },
  { manager: 'apk', commands: [['add', '--no-cache', 'redis']] },
  { manager: 'dnf', commands: [['install', '-y', '/usr/bin/redis-server']] },
] as const;

export async function findRedis(path = process.env.PATH ?? ''): Promise<RedisBinary | undefined> {
  for (const { file, argv0 } of candidates) {
    const found = await which(file, path);
    if (found !== undefined) return { path: found, argv0 };
  }
  return undefined;
}

/** Installs a Redis server through the system's package manager, if that can be done without asking anyone. */
export async function installRedis(logger: Logger): Promise<RedisBinary | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const { manager, commands } of installers) {
    if ((await which(manager, process.env.PATH ?? '')) === undefined) continue;
    logger.info(`installing a Redis server with ${manager}`);
    for (const command of commands) {
      try {
        await run(manager, command, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, timeout: 300_000 });
      } catch (error) {
        logger.warn(error, `${manager} ${command.join(' ')} failed`);
      }
    }
  }
  return findRedis();
}

async function which(file: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter).filter((entry) => entry !== '')) {
    const candidate = join(folder, file);
    const executable = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (executable) return candidate;
  }
  return undefined;
}
