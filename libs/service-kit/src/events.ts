import { type JobEvent, PavlovError } from '@pavlov/contracts';
import { type Broker, keys } from './keys';

/** Entries kept of one job, about; the oldest go first. At ~200 bytes each, a job holds at most some 10 MB. */
const MAX_EVENTS = 50_000;
/** How long one blocking read lasts before it is asked again. */
const BLOCK_MS = 5000;
const BATCH = 1000;

/** An event and its place in the job's stream, which is also the `id` of a server-sent event. */
export interface StoredEvent {
  readonly id: string;
  readonly event: JobEvent;
}

export interface EventRange {
  /** Only events after this id, e.g. the `Last-Event-ID` of a client that reconnects. */
  readonly after?: string;
  readonly limit?: number;
}

/** Adds an event to a job's stream; gives the event's id. */
export async function appendEvent(broker: Broker, jobId: string, event: JobEvent): Promise<string> {
  const fields = ['event', JSON.stringify(event)];
  const id = await broker.redis.xadd(keys.events(broker, jobId), 'MAXLEN', '~', MAX_EVENTS, '*', ...fields);
  return id as string; // null only with NOMKSTREAM
}

/** What has happened so far, oldest first. @throws PavlovError INVALID_REQUEST if `after` is no event's id. */
export async function readEvents(
  broker: Broker,
  jobId: string,
  { after, limit = MAX_EVENTS }: EventRange = {},
): Promise<StoredEvent[]> {
  const start = after === undefined ? '-' : `(${parseEventId(after)}`;
  return (await broker.redis.xrange(keys.events(broker, jobId), start, '+', 'COUNT', limit)).map(stored);
}

/**
 * Everything that has happened and will happen, until the signal aborts. A job that dies with its service may leave no
 * final event, so whoever waits for the end should look at the job's state now and then, too.
 *
 * @throws PavlovError INVALID_REQUEST if `after` is no event's id.
 */
export async function* followEvents(
  broker: Broker,
  jobId: string,
  { after, signal }: { readonly after?: string; readonly signal: AbortSignal },
): AsyncGenerator<StoredEvent, void, undefined> {
  let last = after === undefined ? '0-0' : parseEventId(after);
  if (signal.aborted) return;
  const redis = broker.redis.duplicate(); // a blocking read holds its connection up
  redis.on('error', () => undefined);
  const stop = (): void => redis.disconnect();
  signal.addEventListener('abort', stop);
  try {
    while (!signal.aborted) {
      const streams = await redis.xread('COUNT', BATCH, 'BLOCK', BLOCK_MS, 'STREAMS', keys.events(broker, jobId), last);
      for (const entry of streams?.[0]?.[1] ?? []) {
        const event = stored(entry);
        last = event.id;
        yield event;
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

function stored([id, fields]: readonly [string, readonly string[]]): StoredEvent {
  return { id, event: JSON.parse(fields[1]) as JobEvent };
}

function parseEventId(id: string): string {
  if (/^\d{1,20}-\d{1,20}$/.test(id)) return id;
  throw new PavlovError({
    code: 'INVALID_REQUEST',
    message: `“${id}” is not the id of an event.`,
    hint: 'Send back the id of the last event that you got, or none to begin at the beginning.',
    field: 'Last-Event-ID',
  });
}
