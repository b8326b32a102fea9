import { PavlovError } from '@pavlov/contracts';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Logger } from 'pino';
import { readEnv } from './env';
import { createLogger } from './logger';
import { isAlive, until, withLock } from './process-lock';
import { connect } from './redis';
import { findOrInstallRedis, type RedisBinary } from './redis-binary';

/** Loading a large append-only file takes a while; a server that has died is noticed at once. */
const START_LIMIT_MS = 120_000;
const STOP_LIMIT_MS = 10_000;
/** Unix limits the path of a socket to some hundred bytes. */
const LONGEST_SOCKET_PATH = 100;

export interface RedisLease {
  /** What to give to `openBroker`, and as REDIS_URL to other services. */
  readonly url: string;
  readonly kind: 'given' | 'private' | 'in-process';
  /** Stops the server unless it was given. The private one keeps its data. */
  stop(): Promise<void>;
}

export interface RedisRequest {
  readonly home: string;
  readonly logger?: Logger;
}

/**
 * A Redis to work with, whatever the machine has: the one whose URL is given (REDIS_URL unless told otherwise), else a
 * private one of this home.
 *
 * @throws PavlovError SERVICE_UNAVAILABLE saying what can be done.
 */
export async function launchRedis(request: RedisRequest & { readonly url?: string }): Promise<RedisLease> {
  const { url = readEnv().redisUrl } = request;
  return url === undefined ? launchPrivateRedis(request) : { url, kind: 'given', stop: async () => undefined };
}

/**
 * 1. the private server of this home, if it runs, else a new one from a `redis-server` or `valkey-server` in the PATH;
 * 2. the same after installing it, where the system's package manager does so without asking;
 * 3. the `js-redis-server` package, where it is installed: nothing it holds outlives this process.
 *
 * @throws PavlovError SERVICE_UNAVAILABLE saying what can be done.
 */
export async function launchPrivateRedis({
  home,
  logger = createLogger('redis', 'warn'),
}: RedisRequest): Promise<RedisLease> {
  const socket = await socketOf(home);
  const lease: RedisLease = { url: socket, kind: 'private', stop: async () => void (await stopRedis({ home })) };
  if (await answers(socket)) return lease;
  const binary = await findOrInstallRedis(logger);
  if (!binary) return startInProcess(logger);
  // Two servers on one append-only file would spoil it.
  await withLock(join(resolve(home), 'redis.lock'), START_LIMIT_MS, async () => {
    if (!(await answers(socket))) await start(binary, { home, socket, logger });
  });
  return lease;
}

/** Stops the private Redis of a home; says whether there was one. */
export async function stopRedis({ home }: { readonly home: string }): Promise<boolean> {
  const socket = await socketOf(home);
  if (!(await answers(socket))) return false;
  const redis = connect(socket, { retryStrategy: () => null });
  redis.on('error', () => undefined);
  const pid = Number(/process_id:(\d+)/.exec(await redis.info('server'))?.[1]);
  await redis.call('SHUTDOWN').catch(() => undefined); // its answer is to hang up
  redis.disconnect();
  await until(() => !isAlive(pid), {
    limit: STOP_LIMIT_MS,
    otherwise: () => unavailable(`Redis (process ${pid}) does not stop.`),
  });
  return true;
}

interface Start {
  readonly home: string;
  readonly socket: string;
  readonly logger: Logger;
}

/** Starts a server that only this user can reach and that outlives this process. */
async function start(binary: RedisBinary, { home, socket, logger }: Start): Promise<void> {
  const data = join(resolve(home), 'redis');
  const log = join(data, 'redis.log');
  await mkdir(data, { recursive: true, mode: 0o700 });
  const options = {
    port: '0',
    unixsocket: socket,
    unixsocketperm: '700',
    dir: data,
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    'maxmemory-policy': 'noeviction',
    logfile: log,
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  const server = spawn(binary.path, args, { argv0: binary.argv0, detached: true, stdio: 'ignore' });
  let end: string | undefined;
  server.once('error', (error) => (end = error.message));
  server.once('exit', (code, signal) => (end = `it ended with ${signal ?? `exit code ${code}`}`));
  server.unref();
  const ready = async (): Promise<boolean> => {
    if (end !== undefined) throw unavailable(`${binary.path} did not start: ${end}. Its log is ${log}.`);
    return answers(socket);
  };
  await until(ready, {
    limit: START_LIMIT_MS,
    otherwise: () => unavailable(`Redis does not get ready. Its log is ${log}.`),
  });
  logger.info({ socket, data }, 'started a private Redis');
}

async function startInProcess(logger: Logger): Promise<RedisLease> {
  const name: string = 'js-redis-server'; // not a dependency: present only where someone installed it
  interface Module {
    createRedisServer(): Promise<{ readonly port: number; close(): Promise<void> }>;
  }
  const module = await (import(name) as Promise<Module>).catch(() => undefined);
  if (!module) throw unavailable('There is no Redis server on this machine, and none could be installed.');
  const server = await module.createRedisServer();
  logger.warn(
    'NO REAL REDIS: using the pure JavaScript js-redis-server. Queues and job records live in this process and are LOST WHEN IT ENDS. ' +
      'Only services that are given its REDIS_URL can use it.',
  );
  return { url: `redis://127.0.0.1:${server.port}`, kind: 'in-process', stop: () => server.close() };
}

async function socketOf(home: string): Promise<string> {
  const inHome = join(resolve(home), 'redis', 'redis.sock');
  if (Buffer.byteLength(inHome) <= LONGEST_SOCKET_PATH) return inHome;
  const folder = join(
    tmpdir(),
    `pavlov-${process.getuid?.() ?? 0}-${createHash('sha256').update(inHome).digest('hex').slice(0, 16)}`,
  );
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return join(folder, 'redis.sock');
}

async function answers(socket: string): Promise<boolean> {
  const redis = connect(socket, {
    lazyConnect: true,
    retryStrategy: () => null,
    connectTimeout: 1000,
    enableReadyCheck: false,
  });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return (await redis.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}

const unavailable = (message: string): PavlovError =>
  new PavlovError({
    code: 'SERVICE_UNAVAILABLE',
    message,
    hint:
      'Do one of three: set REDIS_URL to a Redis that runs; install redis-server (or valkey-server) with the system’s package manager; ' +
      'or, on Node 22 or later and without durability, run `npm install --no-save --legacy-peer-deps js-redis-server`.',
  });
