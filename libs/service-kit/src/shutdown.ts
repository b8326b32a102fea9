import { type Logger } from 'pino';

/** Longest that an orderly end may take. */
const LIMIT_MS = 10_000;

/**
 * Runs `stop` on SIGTERM or SIGINT and ends the process: with 0 when all is tidied up, with 1 when that takes too
 * long or fails. A second signal ends it at once. An error that nobody caught ends it too: its state is unknown.
 */
export function onShutdown(stop: () => Promise<void>, logger: Logger): void {
  let stopping = false;
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (stopping) process.exit(1);
    stopping = true;
    logger.info({ signal }, 'shutting down');
    setTimeout(() => {
      logger.error('could not shut down in time');
      process.exit(1);
    }, LIMIT_MS).unref();
    try {
      await stop();
      logger.info('shut down');
      process.exit(0);
    } catch (error) {
      logger.error(error, 'could not shut down in order');
      process.exit(1);
    }
  };
  process.on('SIGTERM', (signal) => void end(signal));
  process.on('SIGINT', (signal) => void end(signal));
  process.on('uncaughtException', (error) => {
    logger.fatal(error, 'an error that nobody caught');
    process.exit(1);
  });
}
