import { type JobPayload, PavlovError } from '@pavlov/contracts';
import { type Broker, followEvents } from '@pavlov/service-kit';
import { setMaxListeners } from 'node:events';
import { type ServerEvent } from '../http/route';

type Source<T> = AsyncGenerator<T, void, undefined>;
type Taken<T> = { readonly source: Source<T> } & (
  { readonly result: IteratorResult<T, void> } | { readonly error: unknown }
);

/** Everything that any of the sources yields, as it comes. When one fails or the reader leaves, all are ended. */
export async function* merge<T>(sources: readonly Source<T>[]): Source<T> {
  const running = new Set(sources);
  const taken: Taken<T>[] = [];
  let wake = (): void => undefined;
  const settle = (one: Taken<T>): void => {
    taken.push(one);
    wake();
  };
  // Not Promise.race: it would leave something behind on each promise of a silent source, for every event of a lively one.
  const take = (source: Source<T>): void =>
    void source.next().then(
      (result) => settle({ source, result }),
      (error: unknown) => settle({ source, error }),
    );
  sources.forEach(take);
  try {
    while (running.size > 0) {
      const next = taken.shift();
      if (next === undefined) {
        await new Promise<void>((resolve) => (wake = resolve));
      } else if ('error' in next) {
        throw next.error;
      } else if (next.result.done === true) {
        running.delete(next.source);
      } else {
        take(next.source);
        yield next.result.value;
      }
    }
  } finally {
    for (const source of running) void source.return(undefined);
  }
}

export interface Following {
  readonly after?: string;
  readonly signal: AbortSignal;
}

export async function* jobEvents(broker: Broker, jobId: string, following: Following): Source<ServerEvent> {
  for await (const { id, event } of followEvents(broker, jobId, following)) yield { id, data: event };
}

/** An event’s id in a pipeline’s stream: how far each job’s stream has been read, in the order of the jobs. */
const beginning = '0-0';
const separator = '.';

function positionsOf(after: string | undefined, count: number): string[] {
  if (after === undefined) return Array.from({ length: count }, () => beginning);
  const positions = after.split(separator);
  if (positions.length === count) return positions;
  throw new PavlovError({
    code: 'INVALID_REQUEST',
    message: `“${after}” is not the id of an event of this pipeline.`,
    hint: 'Send back the id of the last event that you got, or none to begin at the beginning.',
    field: 'Last-Event-ID',
  });
}

/** The events of all jobs of a pipeline. @throws PavlovError INVALID_REQUEST if `after` is no event’s id */
export function pipelineEvents(
  broker: Broker,
  jobs: readonly JobPayload[],
  { after, signal }: Following,
): AsyncIterable<ServerEvent> {
  const positions = positionsOf(after, jobs.length);
  setMaxListeners(0, signal); // every job’s stream listens
  async function* one({ jobId, stage }: JobPayload, index: number) {
    for await (const { id, event } of followEvents(broker, jobId, { after: positions[index], signal })) {
      yield { index, id, data: { jobId, stage, event } };
    }
  }
  async function* all(): Source<ServerEvent> {
    for await (const { index, id, data } of merge(jobs.map(one))) {
      positions[index] = id;
      yield { id: positions.join(separator), data };
    }
  }
  return all();
}
