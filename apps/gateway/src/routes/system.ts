import { PavlovError } from '@pavlov/contracts';
import { checkReadiness } from '@pavlov/service-kit';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { json, route, type Route } from '../http/route';

const tag = 'system';

const healthz = route({
  method: 'get',
  path: '/healthz',
  tag,
  summary: 'Whether the gateway lives',
  answers: { 200: { about: 'It does.', schema: z.object({ status: z.literal('ok'), service: z.string() }) } },
  handler: async () => json(200, { status: 'ok', service: 'gateway' }),
});

const readyz = route({
  method: 'get',
  path: '/readyz',
  tag,
  summary: 'Whether the gateway can work: Redis answers and the store can be written to',
  answers: {
    200: {
      about: 'It can.',
      schema: z.object({ service: z.string(), ready: z.boolean(), checks: z.record(z.string(), z.string()) }),
    },
  },
  handler: async (_request, services) => {
    const readiness = await checkReadiness(services.readiness);
    if (readiness.ready) return json(200, { service: 'gateway', ...readiness });
    const wrong = Object.entries(readiness.checks).filter(([, result]) => result !== 'ok');
    services.logger.warn(readiness.checks, 'not ready');
    throw new PavlovError({
      code: 'SERVICE_UNAVAILABLE',
      message: `Not ready: ${wrong.map(([name]) => name).join(' and ')}.`,
      hint: 'See the log of the gateway for why.',
    });
  },
});

const metrics = route({
  method: 'get',
  path: '/metrics',
  tag,
  summary: 'Figures for Prometheus',
  answers: { 200: { about: 'Its text format.', mediaType: 'text/plain' } },
  handler: async (_request, { telemetry: { registry } }) => ({
    status: 200,
    stream: Readable.from([await registry.metrics()]),
    headers: { 'Content-Type': registry.contentType },
  }),
});

const openapi = route({
  method: 'get',
  path: '/openapi.json',
  tag,
  summary: 'This document',
  answers: { 200: { about: 'OpenAPI 3.1.', schema: z.record(z.string(), z.unknown()) } },
  handler: async (_request, { document }) => json(200, document()),
});

export const systemRoutes: readonly Route[] = [healthz, readyz, metrics, openapi];
