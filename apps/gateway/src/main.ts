import { openStore } from '@pavlov/checkpoint-store';
import { createLogger, launchRedis, onShutdown, openBroker, readEnv } from '@pavlov/service-kit';
import { readGatewayEnv } from './env';
import { startGateway } from './server';

async function main(): Promise<void> {
  let logger = createLogger('gateway', 'info');
  try {
    const env = readEnv();
    logger = createLogger('gateway', env.logLevel);
    const redis = await launchRedis({ home: env.home, url: env.redisUrl, logger });
    const broker = openBroker({
      url: redis.url,
      prefix: env.prefix,
      whenDown: 'fail',
      onError: (error) => logger.warn({ reason: error.message }, 'Redis is away'),
    });
    const store = openStore({ root: env.storeRoot, onCorrupt: (error) => logger.error(error) });
    const gateway = await startGateway({ env: readGatewayEnv(env.home), host: env.host, broker, store, logger });
    onShutdown(async () => {
      await gateway.close();
      await broker.close();
      if (redis.kind === 'in-process') await redis.stop(); // a private server outlives its services
    }, logger);
    logger.info({ address: gateway.address, home: env.home }, 'ready');
  } catch (error) {
    logger.fatal(error, 'cannot start');
    process.exit(1);
  }
}

void main();
