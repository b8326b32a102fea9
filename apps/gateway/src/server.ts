import { type Store } from '@pavlov/checkpoint-store';
import { type Logger, type OpenBroker } from '@pavlov/service-kit';
import { type Queue } from 'bullmq';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, type Socket } from 'node:net';
import { type GatewayEnv } from './env';
import { createHttpApp } from './http/express-app';
import { describeApi } from './http/openapi';
import { servePages } from './http/pages';
import { openInference } from './jobs/inference';
import { openQueues } from './jobs/queues';
import { routes, tags } from './routes';
import { createAdmission } from './submission/admit';
import { knownRewardFunctions } from './submission/check-reward-functions';
import { finishSubmissions } from './submission/submit';
import { createTelemetry } from './telemetry';

export interface Gateway {
  readonly address: string;
  close(): Promise<void>;
}

export interface GatewayOptions {
  readonly env: GatewayEnv;
  readonly host: string;
  readonly broker: OpenBroker;
  readonly store: Store;
  readonly logger: Logger;
}

/** What is not even HTTP never reaches Express. */
function refuseNonsense(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable) return;
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  const body = JSON.stringify({
    code: 'INVALID_REQUEST',
    message: 'This is not a proper HTTP request.',
    hint: 'Send HTTP/1.1 with headers of less than 16 KB.',
  });
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

async function listen(server: Server, { host, port }: { host: string; port: number }): Promise<string> {
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
}

/** Starts the gateway: queues, what a crash left half done, and the HTTP server. */
export async function startGateway({ env, host, broker, store, logger }: GatewayOptions): Promise<Gateway> {
  const queues = openQueues(broker);
  const inference = openInference(broker, env.inference);
  const finished = await finishSubmissions({ broker, queues });
  if (finished > 0) logger.warn({ finished }, 'enqueued submissions that a gateway had accepted before it died');
  const all = [...Object.values<Queue>(queues.of), inference.queue];
  const document = describeApi(routes, tags);
  const services = {
    store,
    broker,
    queues,
    inference,
    admission: createAdmission(store, () => knownRewardFunctions(broker)),
    uploads: env.uploads,
    readiness: { redis: broker.ping, store: store.probe },
    telemetry: createTelemetry(all),
    logger,
    document: () => document,
  };
  const server = createServer(createHttpApp({ routes, services, pages: (app) => servePages(app, all) }));
  server.on('clientError', refuseNonsense);
  const address = await listen(server, { host, port: env.port });
  return {
    address,
    close: async () => {
      server.close();
      server.closeIdleConnections();
      const patience = setTimeout(() => server.closeAllConnections(), 1000); // live events never end by themselves
      await once(server, 'close');
      clearTimeout(patience);
      await Promise.all([inference.close(), queues.close()]);
    },
  };
}
