import {
  type Completion,
  type CompletionPayload,
  type CompletionRequest,
  inferenceQueue,
  PavlovError,
} from '@pavlov/contracts';
import { type Broker, parseFailure } from '@pavlov/service-kit';
import { Queue, QueueEvents } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Inference {
  readonly queue: Queue;
  /** @throws PavlovError SERVICE_UNAVAILABLE, TIMEOUT, or why the model cannot answer */
  complete(request: CompletionRequest): Promise<Completion>;
  close(): Promise<void>;
}

const closingMs = 1000;

export interface InferenceOptions {
  /** Longest that a client waits. */
  readonly timeoutMs: number;
  /** With more than so many requests waiting, new ones are turned away at once. */
  readonly maxWaiting: number;
}

const unavailable = (message: string, hint: string): PavlovError =>
  new PavlovError({ code: 'SERVICE_UNAVAILABLE', message, hint });

/** Asks the inference service, over its queue, and waits for the answer, but not for ever. */
export function openInference(broker: Broker, { timeoutMs, maxWaiting }: InferenceOptions): Inference {
  const queue = new Queue<CompletionPayload, Completion>(inferenceQueue, {
    connection: broker.redis,
    prefix: broker.prefix,
  });
  // A pattern that BullMQ copies, itself never connected. The copy reads blockingly, and waits for a lost Redis.
  const connection = broker.redis.duplicate({ lazyConnect: true, maxRetriesPerRequest: null });
  const finished = new QueueEvents(inferenceQueue, { connection, prefix: broker.prefix });
  const ignore = (): void => undefined; // the broker's connection reports its errors
  queue.on('error', ignore);
  queue.setMaxListeners(0); // each waiting request listens
  finished.on('error', ignore);

  async function assertServed(): Promise<void> {
    const [workers, waiting] = await Promise.all([queue.getWorkersCount(), queue.getWaitingCount()]);
    if (workers === 0)
      throw unavailable('No inference service is running.', 'Start the inference service, then ask again.');
    if (waiting >= maxWaiting) throw unavailable(`${waiting} requests are waiting already.`, 'Ask again soon.');
  }

  return {
    queue,
    complete: async (request) => {
      await Promise.all([assertServed(), finished.waitUntilReady()]);
      const payload = { request, deadline: Date.now() + timeoutMs };
      const kept = { age: 60 }; // seconds; removed at once, an answer could be gone before it is looked for
      const job = await queue.add('completion', payload, { removeOnComplete: kept, removeOnFail: kept });
      try {
        return await job.waitUntilFinished(finished, timeoutMs);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (!/timed out before finishing/.test(reason)) throw new PavlovError(parseFailure(reason), { cause: error });
        await job.remove().catch(() => undefined); // it is being worked on; its deadline has passed, so nobody minds its answer
        throw new PavlovError(
          {
            code: 'TIMEOUT',
            message: `There was no answer within ${timeoutMs / 1000} s.`,
            hint: 'Ask for fewer tokens or answers, or ask again when less is going on.',
          },
          { cause: error },
        );
      }
    },
    close: async () => {
      const closed = Promise.all([queue.close(), finished.close()]);
      await Promise.race([closed, sleep(closingMs)]); // BullMQ waits for ever to leave a Redis that is away
    },
  };
}
