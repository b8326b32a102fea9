import { PavlovError } from '@pavlov/contracts';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { openBroker } from './redis';
import { findOrInstallRedis, findRedis } from './redis-binary';
import { launchPrivateRedis, launchRedis, stopRedis } from './redis-launcher';

const logger = pino({ level: 'silent' });
let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'pavlov-launcher-'));
});
afterEach(async () => {
  await stopRedis({ home });
  rmSync(home, { recursive: true });
});

async function ask<T>(
  url: string,
  question: (redis: ReturnType<typeof openBroker>['redis']) => Promise<T>,
): Promise<T> {
  const broker = openBroker({ url, prefix: '{test}', whenDown: 'fail', onError: () => undefined });
  try {
    return await question(broker.redis);
  } finally {
    await broker.close();
  }
}

const processId = (url: string): Promise<string | undefined> =>
  ask(url, async (redis) => /process_id:(\d+)/.exec(await redis.info('server'))?.[1]);

describe('a private Redis', () => {
  it('refuses to forget, listens on no port, and keeps its data over a restart', async () => {
    const lease = await launchPrivateRedis({ home, logger });
    expect(lease.kind).toBe('private');
    const settings = await ask(lease.url, async (redis) =>
      Promise.all(['maxmemory-policy', 'appendonly', 'port'].map((name) => redis.config('GET', name))),
    );
    expect(settings).toEqual([
      ['maxmemory-policy', 'noeviction'],
      ['appendonly', 'yes'],
      ['port', '0'],
    ]);
    await ask(lease.url, (redis) => redis.set('{test}:key', 'kept'));
    await lease.stop();
    expect(await stopRedis({ home })).toBe(false);
    const again = await launchPrivateRedis({ home, logger });
    expect(await ask(again.url, (redis) => redis.get('{test}:key'))).toBe('kept');
  });

  it('is started once, however many ask for it, and then reused', async () => {
    const leases = await Promise.all(Array.from({ length: 4 }, () => launchPrivateRedis({ home, logger })));
    const ids = new Set(await Promise.all(leases.map((lease) => processId(lease.url))));
    expect(ids.size).toBe(1);
    expect(await processId((await launchPrivateRedis({ home, logger })).url)).toBe([...ids][0]);
    expect(existsSync(join(home, 'redis.lock'))).toBe(false);
  });

  it('starts after a starter that died holding the lock', async () => {
    writeFileSync(join(home, 'redis.lock'), '999999999');
    await expect(launchPrivateRedis({ home, logger })).resolves.toMatchObject({ kind: 'private' });
  });

  it('lives at a short path when that of its home is too long for a socket', async () => {
    const deep = join(home, 'x'.repeat(120));
    const lease = await launchPrivateRedis({ home: deep, logger });
    expect(lease.url.length).toBeLessThan(108);
    expect(await processId(lease.url)).toMatch(/^\d+$/);
    await lease.stop();
    rmSync(dirname(lease.url), { recursive: true });
  });

  it('says why it did not start', async () => {
    writeFileSync(join(home, 'redis'), 'a file where a folder should be');
    await expect(launchPrivateRedis({ home, logger })).rejects.toThrow();
  });
});

it('uses the Redis that is given and never stops it', async () => {
  const own = await launchPrivateRedis({ home, logger });
  const lease = await launchRedis({ url: own.url, home: join(home, 'other'), logger });
  expect(lease).toMatchObject({ url: own.url, kind: 'given' });
  await lease.stop();
  expect(await processId(own.url)).toMatch(/^\d+$/);
});

describe('without any Redis', () => {
  const path = process.env.PATH;
  const getuid = process.getuid;
  afterEach(() => {
    process.env.PATH = path;
    process.getuid = getuid;
  });

  it('names the three ways out', async () => {
    process.env.PATH = home;
    const error = await launchPrivateRedis({ home, logger }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PavlovError);
    expect((error as PavlovError).body).toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    for (const way of ['REDIS_URL', 'redis-server', 'js-redis-server'])
      expect((error as PavlovError).body.hint).toContain(way);
  });

  it('is installed once, however many ask for it', async () => {
    process.getuid = () => 0;
    process.env.PATH = home;
    const log = join(home, 'log');
    writeFileSync(
      join(home, 'apt-get'),
      `#!/bin/sh
PATH=/usr/bin:/bin
mkdir ${home}/busy || exit 100
echo "$@" >> ${log}
sleep 0.2
case "$*" in *install*) touch ${home}/redis-server; sleep 0.2; chmod 755 ${home}/redis-server ;; esac
rmdir ${home}/busy
`,
      { mode: 0o755 },
    );
    const found = await Promise.all(Array.from({ length: 3 }, () => findOrInstallRedis(logger)));
    expect(found).toEqual(found.map(() => ({ path: join(home, 'redis-server'), argv0: 'redis-server' })));
    expect(readFileSync(log, 'utf8').trim().split('\n')).toHaveLength(2);
  });

  it('finds the server under the name of a tool', async () => {
    const tool = join(home, 'redis-check-rdb');
    writeFileSync(tool, '', { mode: 0o755 });
    writeFileSync(join(home, 'redis-server'), 'not executable', { mode: 0o644 });
    expect(await findRedis(`/nowhere::${home}`)).toEqual({ path: tool, argv0: 'redis-server' });
  });
});
