import { type JobEvent } from '@pavlov/contracts';
import { startTestRedis, type TestRedis } from '@pavlov/testing';
import { appendEvent, followEvents, openBroker, type OpenBroker, readEvents, type StoredEvent } from './index';

let redis: TestRedis;
let broker: OpenBroker;
beforeAll(async () => {
  redis = await startTestRedis();
  broker = openBroker({ url: redis.url, prefix: '{test}', whenDown: 'wait', onError: () => undefined });
});
afterAll(async () => {
  await broker.close();
  await redis.stop();
});

const metrics = (step: number): JobEvent => ({
  type: 'metrics',
  step,
  values: { loss: step },
  at: '2026-01-01T00:00:00.000Z',
  attempt: 1,
});
const stepsOf = (events: readonly StoredEvent[]): number[] =>
  events.map(({ event }) => (event.type === 'metrics' ? event.step : NaN));

/** Appends the steps `from`…`to`; gives the ids. */
async function append(jobId: string, from: number, to: number): Promise<string[]> {
  const ids: string[] = [];
  for (let step = from; step <= to; step++) ids.push(await appendEvent(broker, jobId, metrics(step)));
  return ids;
}

describe('the events of a job', () => {
  it('are read in order, all or from an id on', async () => {
    const ids = await append('read-1', 1, 5);
    const all = await readEvents(broker, 'read-1');
    expect(all.map(({ id }) => id)).toEqual(ids);
    expect(all[1]?.event).toEqual(metrics(2));
    expect(stepsOf(await readEvents(broker, 'read-1', { after: ids[2] }))).toEqual([4, 5]);
    expect(stepsOf(await readEvents(broker, 'read-1', { after: ids[0], limit: 2 }))).toEqual([2, 3]);
    expect(await readEvents(broker, 'read-1', { after: ids[4] })).toEqual([]);
    expect(await readEvents(broker, 'never-ran')).toEqual([]);
  });

  it('are followed from an id on, past and future, without a gap or a repetition', async () => {
    const ids = await append('follow-1', 1, 3);
    const abort = new AbortController();
    const seen: StoredEvent[] = [];
    const following = (async () => {
      for await (const event of followEvents(broker, 'follow-1', { after: ids[0], signal: abort.signal })) {
        seen.push(event);
        if (seen.length === 2) await append('follow-1', 4, 6);
        if (seen.length === 5) abort.abort();
      }
    })();
    await following;
    expect(stepsOf(seen)).toEqual([2, 3, 4, 5, 6]);
  });

  it('stop being followed as soon as that is wanted, while nothing happens', async () => {
    const abort = new AbortController();
    const events = followEvents(broker, 'quiet-1', { signal: abort.signal });
    const next = events.next();
    const started = Date.now();
    setTimeout(() => abort.abort(), 50);
    expect(await next).toEqual({ done: true, value: undefined });
    expect(Date.now() - started).toBeLessThan(1000);
  });

  it('release their connection when the reader leaves', async () => {
    const connections = async (): Promise<number> =>
      Number(/connected_clients:(\d+)/.exec(await broker.redis.info('clients'))?.[1]);
    const before = await connections();
    await append('left-1', 1, 1);
    for await (const event of followEvents(broker, 'left-1', { signal: new AbortController().signal })) {
      expect(stepsOf([event])).toEqual([1]);
      expect(await connections()).toBe(before + 1);
      break;
    }
    for (let look = 0; look < 100 && (await connections()) > before; look++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await connections()).toBe(before);
  });

  it.each(['', '1', 'a-b', '1-2-3', '-', '$'])('refuse %j as an id', async (after) => {
    await expect(readEvents(broker, 'read-1', { after })).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    const following = followEvents(broker, 'read-1', { after, signal: new AbortController().signal });
    await expect(following.next()).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });
});
