import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { toPavlovError } from './errors';

/** What a service takes from its environment. */
const environment = z.object({
  REDIS_URL: z
    .string()
    .optional()
    .describe('`redis://…`, `rediss://…` or the path of a Unix socket; without it a private Redis is started.'),
  PAVLOV_HOME: z.string().default('.pavlov').describe('Folder of the store, of the private Redis and of logs.'),
  PAVLOV_PREFIX: z
    .string()
    .default('{pavlov}')
    .describe('Begins every Redis key; in braces, so that a Redis Cluster keeps them together.'),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(0)
    .describe('Port of health checks and metrics; 0 takes any free one and logs it.'),
  HOST: z.string().default('127.0.0.1').describe('Address to listen on.'),
  PAVLOV_THREADS: z.coerce
    .number()
    .int()
    .positive()
    .default(availableParallelism())
    .describe('Threads that a trainer computes with.'),
});

export interface Env {
  readonly redisUrl: string | undefined;
  readonly home: string;
  /** Root of the store, inside the home. */
  readonly storeRoot: string;
  readonly prefix: string;
  readonly logLevel: z.infer<typeof environment>['LOG_LEVEL'];
  readonly port: number;
  readonly host: string;
  readonly threads: number;
}

/** @throws PavlovError INVALID_REQUEST naming each variable that makes no sense. */
export function readEnv(variables: NodeJS.ProcessEnv = process.env): Env {
  const given = Object.entries(variables).filter(([, value]) => value !== ''); // compose files pass unset variables as ''
  const parsed = environment.safeParse(Object.fromEntries(given));
  if (!parsed.success) throw toPavlovError(parsed.error, 'Correct that environment variable, or leave it out.');
  const { data } = parsed;
  const home = resolve(data.PAVLOV_HOME);
  return {
    redisUrl: data.REDIS_URL,
    home,
    storeRoot: join(home, 'store'),
    prefix: data.PAVLOV_PREFIX,
    logLevel: data.LOG_LEVEL,
    port: data.PORT,
    host: data.HOST,
    threads: data.PAVLOV_THREADS,
  };
}
