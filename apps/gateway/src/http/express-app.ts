import { PavlovError } from '@pavlov/contracts';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import { pipeline } from 'node:stream/promises';
import { type Services } from '../services';
import { parse } from './bad-request';
import { sendEvents } from './events';
import { toShowable } from './failures';
import { readJson } from './json-body';
import { observe } from './observe';
import { guard } from './guard';
import { type Reply, type Route } from './route';
import { withUpload } from './uploads';

/** `/v1/jobs/{id}` → `/v1/jobs/:id`, and `{path+}` → `*path`. */
const expressPath = (path: string): string => path.replace(/\{(\w+)\+\}/g, '*$1').replace(/\{(\w+)\}/g, ':$1');

const paramsOf = (request: Request): Record<string, string> =>
  Object.fromEntries(
    Object.entries(request.params as Record<string, string | string[]>).map(([key, value]) => [
      key,
      Array.isArray(value) ? value.join('/') : value,
    ]),
  );

async function send(response: Response, reply: Reply): Promise<void> {
  if ('events' in reply) return sendEvents(response, reply.events);
  response.status(reply.status).set(reply.headers ?? {});
  if ('body' in reply) {
    response.json(reply.body);
    return;
  }
  await pipeline(reply.stream, response);
}

/** Runs a route's handler on an Express request: parses, calls, sends. */
function adapt(route: Route, services: Services) {
  return async (request: Request, response: Response): Promise<void> => {
    const left = new AbortController();
    response.on('close', () => left.abort());
    const parsed = {
      params: route.params === undefined ? {} : parse(route.params, paramsOf(request)),
      query: route.query === undefined ? {} : parse(route.query, request.query),
      headers: route.headers === undefined ? {} : parse(route.headers, request.headers),
      signal: left.signal,
    };
    const { body } = route;
    if (body !== undefined && 'upload' in body) {
      const reply = await withUpload({ request, response, limits: services.uploads }, (upload) =>
        route.handler({ ...parsed, body: upload }, services),
      );
      return send(response, reply);
    }
    const value = body === undefined ? undefined : parse(body.json, await readJson(request, response));
    return send(response, await route.handler({ ...parsed, body: value }, services));
  };
}

/** Answers to a known path with a method that it does not have. */
function refuseMethod(path: string, methods: readonly string[]) {
  return (request: Request, response: Response): never => {
    response.set('Allow', methods.join(', '));
    throw new PavlovError({
      code: 'METHOD_NOT_ALLOWED',
      message: `${path} has no ${request.method}.`,
      hint: `It has ${methods.join(' and ')}.`,
    });
  };
}

function refuseRoute(request: Request): never {
  throw new PavlovError({
    code: 'ROUTE_NOT_FOUND',
    message: `There is no ${request.method} ${request.path}.`,
    hint: 'See /docs for what there is.',
  });
}

/** Express knows an error handler by its four parameters. */
// eslint-disable-next-line max-params
function sendError(error: unknown, _request: Request, response: Response, next: NextFunction): void {
  const shown = toShowable(error);
  response.locals.code = shown.code;
  response.locals.failure = shown.status >= 500 ? error : undefined;
  if (response.headersSent) {
    next(error); // too late for another answer: Express cuts the connection, which says that this one is not whole
    return;
  }
  if (shown.retryable && shown.status === 503) response.set('Retry-After', '2');
  response.status(shown.status).json(shown.body);
}

export interface HttpOptions {
  readonly routes: readonly Route[];
  readonly services: Services;
  /** Pages for people, which are not routes of the API. */
  readonly pages: (app: Express) => void;
}

/** The one place that knows Express: every route of the table, the pages, and errors that all look alike. */
export function createHttpApp({ routes, services, pages }: HttpOptions): Express {
  const app = express();
  app.disable('x-powered-by').disable('etag');
  app.set('query parser', 'simple');
  app.use(observe(services), guard);
  const methods = new Map<string, string[]>();
  for (const route of routes) {
    app[route.method](
      expressPath(route.path),
      (_request, response, next) => {
        response.locals.route = route.path;
        next();
      },
      adapt(route, services),
    );
    methods.set(route.path, [...(methods.get(route.path) ?? []), route.method.toUpperCase()]);
  }
  for (const [path, allowed] of methods) app.all(expressPath(path), refuseMethod(path, allowed));
  pages(app);
  app.use(refuseRoute);
  app.use(sendError);
  return app;
}
