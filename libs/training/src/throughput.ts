import { performance } from 'node:perf_hooks';

/** Counts tokens and tells how fast they come. */
export interface Throughput {
  add(tokens: number): void;
  readonly tokens: number;
  /** Tokens per second since the last call of `lap`, or since the start. */
  lap(): number;
}

export function createThroughput(): Throughput {
  let tokens = 0;
  let lapTokens = 0;
  let lapStart = performance.now();
  return {
    add: (count) => {
      tokens += count;
    },
    get tokens() {
      return tokens;
    },
    lap: () => {
      const now = performance.now();
      const rate = ((tokens - lapTokens) * 1000) / Math.max(now - lapStart, 1e-3);
      lapTokens = tokens;
      lapStart = now;
      return rate;
    },
  };
}
