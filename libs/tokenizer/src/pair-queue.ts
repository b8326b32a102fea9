/** Entry of a PairQueue. */
export interface QueuedPair {
  readonly count: number;
  readonly pair: number;
}

const isBefore = (a: QueuedPair, b: QueuedPair): boolean =>
  a.count > b.count || (a.count === b.count && a.pair < b.pair);

/** A binary heap: pops the highest count first, and of equal counts the smallest pair. */
export class PairQueue {
  private readonly heap: QueuedPair[] = [];

  push(count: number, pair: number): void {
    const { heap } = this;
    const entry = { count, pair };
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(entry, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = entry;
  }

  pop(): QueuedPair | undefined {
    const { heap } = this;
    const top = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return top;
  }
}
