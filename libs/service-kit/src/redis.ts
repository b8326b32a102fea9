import { Redis, type RedisOptions } from 'ioredis';
import { type Broker } from './keys';

export interface BrokerOptions {
  /** `redis://…`, `rediss://…`, or the path of a Unix socket. */
  readonly url: string;
  readonly prefix: string;
  /** While Redis is away, commands `wait` for it (workers), or `fail` soon (whoever has a client waiting). */
  readonly whenDown: 'wait' | 'fail';
  /** Told of connection errors; the connection mends itself. */
  readonly onError: (error: Error) => void;
}

export interface OpenBroker extends Broker {
  /** Resolves if Redis answers within a second. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export function openBroker({ url, prefix, whenDown, onError }: BrokerOptions): OpenBroker {
  const redis = connect(url, { maxRetriesPerRequest: whenDown === 'wait' ? null : 1 });
  redis.on('error', onError);
  return {
    redis,
    prefix,
    ping: () => within(1000, redis.ping()),
    close: async () => {
      if (redis.status === 'ready') await redis.quit();
      else redis.disconnect();
    },
  };
}

export function connect(url: string, options: RedisOptions = {}): Redis {
  return new Redis(url.replace(/^unix:\/\//, ''), {
    disconnectTimeout: 100, // a timer of this length outlives even a connection that has ended already
    retryStrategy: (attempt) => Math.min(attempt * 100, 2000),
    ...options,
  });
}

/** @throws Error if the promise takes longer. */
async function within(milliseconds: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`Redis did not answer within ${milliseconds} ms.`)), milliseconds);
  });
  try {
    await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
