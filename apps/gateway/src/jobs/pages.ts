import { type Page, PavlovError } from '@pavlov/contracts';
import { type Broker, keys } from '@pavlov/service-kit';

interface PageRequest<T> {
  readonly sort: 'job' | 'pipeline';
  readonly limit: number;
  readonly cursor?: string;
  /** The item of an id, or undefined if it is not wanted. */
  readonly load: (id: string) => Promise<T | undefined>;
}

/**
 * Goes through the submitted jobs or pipelines, newest first, until a page is full. The cursor is the id of the last one
 * looked at, so a page stays right while new ones come in.
 *
 * @throws PavlovError INVALID_REQUEST for a cursor that no page gave
 */
export async function readPage<T>(broker: Broker, { sort, limit, cursor, load }: PageRequest<T>): Promise<Page<T>> {
  const key = keys.index(broker, sort);
  const items: T[] = [];
  for (let last = cursor; ;) {
    const rank = last === undefined ? -1 : await broker.redis.zrevrank(key, last);
    if (rank === null) {
      throw new PavlovError({
        code: 'INVALID_REQUEST',
        message: `“${cursor}” is not the \`next\` of a page.`,
        hint: 'Leave it out to begin with the newest.',
        field: 'cursor',
      });
    }
    const ids = await broker.redis.zrevrange(key, rank + 1, rank + 1 + limit); // one more: does anything follow?
    const loaded = await Promise.all(ids.slice(0, limit).map(load));
    for (const [index, item] of loaded.entries()) {
      if (item === undefined) continue;
      items.push(item);
      if (items.length === limit) return index + 1 < ids.length ? { items, next: ids[index] } : { items };
    }
    if (ids.length <= limit) return { items };
    last = ids[limit - 1];
  }
}
