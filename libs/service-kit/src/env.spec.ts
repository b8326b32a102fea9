import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { readEnv } from './env';

describe('readEnv', () => {
  it('has a default for everything', () => {
    expect(readEnv({})).toEqual({
      redisUrl: undefined,
      home: resolve('.pavlov'),
      storeRoot: resolve('.pavlov/store'),
      prefix: '{pavlov}',
      logLevel: 'info',
      port: 0,
      host: '127.0.0.1',
      threads: availableParallelism(),
    });
  });

  it('takes what is given, and an empty variable for none', () => {
    const env = readEnv({
      REDIS_URL: '',
      PAVLOV_HOME: '/srv/pavlov',
      PORT: '8080',
      PAVLOV_THREADS: '3',
      LOG_LEVEL: 'debug',
    });
    expect(env).toMatchObject({
      redisUrl: undefined,
      storeRoot: '/srv/pavlov/store',
      port: 8080,
      threads: 3,
      logLevel: 'debug',
    });
  });

  it.each([
    ['PORT', '70000'],
    ['PORT', 'http'],
    ['PAVLOV_THREADS', '0'],
    ['LOG_LEVEL', 'loud'],
  ])('refuses %s=%s by name', (name, value) => {
    expect(() => readEnv({ [name]: value })).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST', body: expect.objectContaining({ field: name }) }),
    );
  });
});
