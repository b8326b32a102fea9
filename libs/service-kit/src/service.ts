import { openStore, type Store } from '@pavlov/checkpoint-store';
import { type Env, readEnv } from './env';
import { type ReadinessChecks, serveOperations } from './http';
import { createLogger, type Logger } from './logger';
import { createMetrics, type ServiceMetrics } from './metrics';
import { openBroker, type OpenBroker } from './redis';
import { launchRedis } from './redis-launcher';
import { onShutdown } from './shutdown';

/** What every service stands on. */
export interface Service {
  readonly name: string;
  readonly env: Env;
  readonly logger: Logger;
  readonly broker: OpenBroker;
  readonly store: Store;
  readonly metrics: ServiceMetrics;
}

/** What a service does; `stop` resolves when it does it no more. */
export interface Work {
  readonly checks: ReadinessChecks;
  stop(): Promise<void>;
}

/**
 * Runs a service until it is told to end: environment, log, Redis, store, then its work, then health checks and
 * metrics over HTTP. A service that cannot start logs why and ends the process with 1.
 */
export async function runService(name: string, start: (service: Service) => Promise<Work>): Promise<void> {
  let logger = createLogger(name, 'info');
  try {
    const env = readEnv();
    logger = createLogger(name, env.logLevel);
    const redis = await launchRedis({ home: env.home, url: env.redisUrl, logger });
    const broker = openBroker({
      url: redis.url,
      prefix: env.prefix,
      whenDown: 'wait',
      onError: (error) => logger.warn({ reason: error.message }, 'Redis is away'),
    });
    const store = openStore({ root: env.storeRoot, onCorrupt: (error) => logger.error(error) });
    const metrics = createMetrics(name);
    const work = await start({ name, env, logger, broker, store, metrics });
    const { address, close } = await serveOperations({
      service: name,
      host: env.host,
      port: env.port,
      checks: { redis: broker.ping, store: store.probe, ...work.checks },
      registry: metrics.registry,
    });
    onShutdown(async () => {
      await work.stop();
      await close();
      await broker.close();
      if (redis.kind === 'in-process') await redis.stop(); // a private server outlives its services
    }, logger);
    logger.info({ address, home: env.home, threads: env.threads }, 'ready');
  } catch (error) {
    logger.fatal(error, 'cannot start');
    process.exit(1);
  }
}
