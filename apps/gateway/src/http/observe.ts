import { type NextFunction, type Request, type Response } from 'express';
import { randomUUID } from 'node:crypto';
import { type Services } from '../services';

const wellFormed = /^[\w.:-]{1,100}$/;

/**
 * Gives every request an id (the client's own, if it sent one), and logs and counts it once it is over. Queries and
 * bodies are not logged: they may hold what people wrote.
 */
export const observe =
  ({ logger, telemetry }: Pick<Services, 'logger' | 'telemetry'>) =>
  (request: Request, response: Response, next: NextFunction): void => {
    const given = request.headers['x-request-id'];
    const requestId = typeof given === 'string' && wellFormed.test(given) ? given : randomUUID();
    response.set('X-Request-Id', requestId);
    const start = process.hrtime.bigint();
    response.on('close', () => {
      const seconds = Number(process.hrtime.bigint() - start) / 1e9;
      const status = response.statusCode;
      const { route, code, failure } = response.locals as { route?: string; code?: string; failure?: unknown };
      telemetry.requests.observe({ method: request.method, route: route ?? 'other', status: String(status) }, seconds);
      const level = failure !== undefined ? 'error' : 'info';
      logger[level](
        {
          requestId,
          method: request.method,
          path: request.path,
          status,
          code,
          seconds,
          err: failure,
          whole: response.writableFinished,
        },
        'request',
      );
    });
    next();
  };
