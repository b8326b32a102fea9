import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { type Logger } from 'pino';
import { withLock } from './process-lock';

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

/** Two commands that take a while each. */
const INSTALL_LIMIT_MS = 600_000;

/** A fresh system may be updating itself. */
const aptWaits = ['-o', 'DPkg::Lock::Timeout=120'];

/** None of these starts a system service. */
const installers = [
  {
    manager: 'apt-get',
    commands: [['update'], [...aptWaits, 'install', '-y', '--no-install-recommends', 'redis-tools']],
  },
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

/**
 * The Redis server of this machine; where there is none and the system's package manager can be used without asking anyone, after
 * installing it. Processes that want it at once wait for the one that installs it.
 */
export async function findOrInstallRedis(logger: Logger): Promise<RedisBinary | undefined> {
  if (process.getuid?.() !== 0) return findRedis();
  // The search is under the lock, too: a package that is being unpacked has files that do not run yet.
  return withLock(join(tmpdir(), 'pavlov-install-redis.lock'), INSTALL_LIMIT_MS, async () => {
    return (await findRedis()) ?? (await installRedis(logger));
  });
}

async function installRedis(logger: Logger): Promise<RedisBinary | undefined> {
  for (const { manager, commands } of installers) {
    if ((await which(manager, process.env.PATH ?? '')) === undefined) continue;
    logger.info(`installing a Redis server with ${manager}`);
    for (const command of commands) {
      try {
        await run(manager, command, {
          env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
          timeout: INSTALL_LIMIT_MS / 2,
        });
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
