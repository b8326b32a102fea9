import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import { type Env } from './env';

export { type Logger } from 'pino';

/** JSON lines, or readable ones for whoever watches a terminal. */
export function createLogger(service: string, level: Env['logLevel']): Logger {
  const options = { level, base: { service }, timestamp: () => `,"time":"${new Date().toISOString()}"` };
  return process.stdout.isTTY ? pino(options, pretty({ ignore: 'service' })) : pino(options);
}
