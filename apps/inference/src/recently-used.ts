/** Keeps the few things that were used last: making one takes long, and each takes memory. */
export interface RecentlyUsed<T> {
  /** What is kept under the key, or a new one; then the one not used for longest may have to go. */
  get(key: string, make: () => Promise<T>): Promise<T>;
}

/** @param options.dispose Called with what has to go. */
export function keepRecentlyUsed<T>(options: { limit: number; dispose?: (item: T) => void }): RecentlyUsed<T> {
  const items = new Map<string, T>(); // in the order of their last use
  return {
    async get(key, make) {
      const item = items.get(key) ?? (await make());
      items.delete(key);
      items.set(key, item);
      for (const [oldest, unused] of items) {
        if (items.size <= options.limit) break;
        items.delete(oldest);
        options.dispose?.(unused);
      }
      return item;
    },
  };
}
