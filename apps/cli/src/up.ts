import { once } from 'node:events';
import { dirname, join, resolve } from 'node:path';
import { launchRedis, stopRedis } from '@pavlov/service-kit';
import { startServices, stopServices, type RunningServices } from './services';

export interface Installation {
  readonly services: RunningServices;
  /** Takes the services down, then the Redis that was started for them. */
  stop(): Promise<void>;
}

/** Finds or starts Redis, then starts every service. */
export async function startInstallation({ home, port }: { home: string; port: number }): Promise<Installation> {
  const folder = resolve(home);
  if ((await stopServices(folder)) > 0) process.stdout.write('Took down the services of an earlier run.\n');
  process.stdout.write('Starting Redis and the services …\n');
  const redis = await launchRedis({ home: folder });
  const services = await startServices({
    bundles: dirname(__dirname),
    home: folder,
    redisUrl: redis.url,
    gatewayPort: port,
  }).catch(async (error: unknown) => {
    await redis.stop();
    throw error;
  });
  return {
    services,
    stop: async () => {
      await services.stop();
      await redis.stop();
    },
  };
}

export function describeAddresses({ addresses, logFolder }: RunningServices): string {
  const { gateway } = addresses;
  return [
    `  API and its documentation   ${gateway}/docs`,
    `  Queues                      ${gateway}/queues`,
    `  Metrics (Prometheus)        ${gateway}/metrics`,
    `  Logs                        ${join(logFolder, '*.log')}`,
  ].join('\n');
}

/** Resolves when the process is asked to end, or when a service has broken down. */
export async function untilInterrupted(services: RunningServices): Promise<Error | undefined> {
  const asked = new AbortController();
  const signals = ['SIGINT', 'SIGTERM'] as const;
  const interrupted = Promise.race(
    signals.map((signal) => once(process, signal, { signal: asked.signal }).catch(() => undefined)),
  );
  const reason = await Promise.race([interrupted.then(() => undefined), services.broken]);
  asked.abort();
  return reason;
}

/** `pavlov down`: ends what an earlier command left running. */
export async function runDown({ home }: { home: string }): Promise<number> {
  const folder = resolve(home);
  const count = await stopServices(folder);
  await stopRedis({ home: folder });
  process.stdout.write(count > 0 ? `Took down ${count} services.\n` : 'No services were running.\n');
  return 0;
}

/** `pavlov up`: all services, until interrupted. */
export async function runUp(options: { home: string; port: number }): Promise<number> {
  const installation = await startInstallation(options);
  process.stdout.write(`\nPavlov is up.\n\n${describeAddresses(installation.services)}\n\nCtrl-C takes it down.\n`);
  const broken = await untilInterrupted(installation.services);
  if (broken) process.stderr.write(`\n${broken.message}\n`);
  process.stdout.write('\nTaking the services down …\n');
  await installation.stop();
  return broken ? 1 : 0;
}
