import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { type Registry } from 'prom-client';

/** Things without which a service cannot work, by name; each check resolves if all is well. */
export type ReadinessChecks = Readonly<Record<string, () => Promise<void>>>;

export interface Readiness {
  readonly ready: boolean;
  /** `ok`, or what is wrong. */
  readonly checks: Readonly<Record<string, string>>;
}

export async function checkReadiness(checks: ReadinessChecks): Promise<Readiness> {
  const entries = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await check().then(() => 'ok', String)] as const),
  );
  return { ready: entries.every(([, result]) => result === 'ok'), checks: Object.fromEntries(entries) };
}

export interface OperationsServer {
  readonly address: string;
  close(): Promise<void>;
}

export interface OperationsOptions {
  readonly service: string;
  readonly host: string;
  readonly port: number;
  readonly checks: ReadinessChecks;
  readonly registry: Registry;
}

/** Serves /healthz (the process lives), /readyz (it can work) and /metrics (Prometheus). */
export async function serveOperations({
  service,
  host,
  port,
  checks,
  registry,
}: OperationsOptions): Promise<OperationsServer> {
  const json = (status: number, body: unknown) => ({ status, type: 'application/json', body: JSON.stringify(body) });
  const routes: Record<string, () => Promise<ReturnType<typeof json>>> = {
    '/healthz': async () => json(200, { status: 'ok', service }),
    '/readyz': async () => {
      const readiness = await checkReadiness(checks);
      return json(readiness.ready ? 200 : 503, { service, ...readiness });
    },
    '/metrics': async () => ({ status: 200, type: registry.contentType, body: await registry.metrics() }),
  };
  const notFound = async () =>
    json(404, {
      code: 'ROUTE_NOT_FOUND',
      message: `There is no such page.`,
      hint: `There are ${Object.keys(routes).join(', ')}.`,
    });

  const server = createServer((request, response) => {
    const route = routes[(request.url ?? '').split('?', 1)[0] ?? ''] ?? notFound;
    route()
      .catch((error: unknown) =>
        json(500, { code: 'INTERNAL', message: String(error), hint: 'Look at the log of this service.' }),
      )
      .then(
        ({ status, type, body }) => response.writeHead(status, { 'content-type': type }).end(body),
        () => response.destroy(),
      );
  });
  server.listen(port, host);
  await once(server, 'listening');
  const { port: actual } = server.address() as AddressInfo;
  return {
    address: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
