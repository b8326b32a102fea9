import { advertisedRewardFunctions, openBroker, type OpenBroker, readEnv } from '@pavlov/service-kit';
import { bundle, type Bundle, startTestRedis, type TestRedis } from '@pavlov/testing';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The service as a process of its own: loading a module is what its bundle does. */
describe('the ppo service', () => {
  let redis: TestRedis;
  let compiled: Bundle;
  let broker: OpenBroker;

  beforeAll(async () => {
    redis = await startTestRedis();
    compiled = await bundle(join(__dirname, 'main.ts'));
    broker = openBroker({ url: redis.url, prefix: readEnv({}).prefix, whenDown: 'wait', onError: () => undefined });
    await writeFile(join(redis.home, 'mine.mjs'), `export const kindness = () => []; kindness.description = 'Kind.';`);
    await writeFile(join(redis.home, 'broken.mjs'), `export const variety = () => [];`);
  });
  afterAll(async () => {
    await broker.close();
    await compiled.remove();
    await redis.stop();
  });

  /** Starts the service, ends it once it is ready, and gives its exit code and its log. */
  async function start(module: string): Promise<{ code: number | null; log: string }> {
    const child = spawn(process.execPath, [join(compiled.folder, 'main.js')], {
      cwd: redis.home,
      env: { PATH: process.env.PATH, REDIS_URL: redis.url, PAVLOV_HOME: redis.home, PAVLOV_REWARDS: module },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let log = '';
    child.stdout.on('data', (chunk: Buffer) => {
      log += chunk.toString();
      if (!child.killed && log.includes('"msg":"ready"')) child.kill('SIGTERM');
    });
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, log };
  }
  const names = async () => (await advertisedRewardFunctions(broker)).map(({ name }) => name);

  it('tells which reward functions it has, its module’s among them', async () => {
    expect((await start('mine.mjs')).code).toBe(0);
    expect(await names()).toEqual(['demo-world', 'brevity', 'variety', 'kindness']);
    expect((await advertisedRewardFunctions(broker))[3].description).toBe('Kind.');
  });

  it('has no longer what a restart has taken away', async () => {
    await broker.redis.set(`${readEnv({}).prefix}:reward-functions`, '[{ "name": "old" }]');
    expect((await start('')).code).toBe(0);
    expect(await names()).toEqual(['demo-world', 'brevity', 'variety']);
  });

  it('does not start with a module that it cannot use', async () => {
    const { code, log } = await start('broken.mjs');
    expect(code).toBe(1);
    expect(log).toContain('cannot start');
    expect(log).toContain(`${join(redis.home, 'broken.mjs')} exports “variety”`);
  });
});
