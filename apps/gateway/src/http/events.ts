import { type Response } from 'express';
import { once } from 'node:events';
import { type ServerEvent } from './route';

/** Proxies and browsers drop a connection on which nothing comes for long. */
const heartbeatMs = 15_000;
/** What a browser waits before it connects again. */
const reconnectMs = 2000;

/** Sends events as they come, until they end or the client leaves. */
export async function sendEvents(response: Response, events: AsyncIterable<ServerEvent>): Promise<void> {
  response
    .status(200)
    .set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' });
  response.write(`retry: ${reconnectMs}\n\n`);
  const heartbeat = setInterval(() => response.write(': still here\n\n'), heartbeatMs);
  try {
    for await (const { id, data } of events) {
      const drained = response.write(`id: ${id}\ndata: ${JSON.stringify(data)}\n\n`);
      if (!drained && !response.destroyed) await Promise.race([once(response, 'drain'), once(response, 'close')]);
      if (response.destroyed) break;
    }
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}
