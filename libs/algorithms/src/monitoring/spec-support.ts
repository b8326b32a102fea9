/** Synthetic PPO runs whose truth is known, for the specs of the monitor. */
import { randomStream, type RandomStream } from '@pavlov/random';
import { type MonitorObservation } from './observation';

/** What is true of the policy after some share, 0 to 1, of the run; the batch shows it with noise. */
export interface Truth {
  /** Nats per answer. */
  readonly kl: number;
  /** Nats per token. */
  readonly entropy: number;
  /** Mean of the proxy's scores. */
  readonly proxy: number;
  /** Mean of the held-out scores. */
  readonly heldOut: number;
  /** Mean tokens per answer. */
  readonly length: number;
  /** Share of answers that are one and the same text. */
  readonly same: number;
  /** Share of answers that end. */
  readonly finished: number;
}

export interface Run {
  readonly seed: number;
  readonly iterations: number;
  readonly batchSize: number;
  /** Iterations between two looks of the held-out judge; without it there is none. */
  readonly every?: number;
  readonly truth: (progress: number) => Truth;
  /** Draws a score; normal with deviation 1 if absent. */
  readonly draw?: (random: RandomStream, mean: number) => number;
}

const normal = (random: RandomStream, mean: number): number => mean + random.normal();
/** What a judge of right and wrong says; `mean` is the share of right answers. */
export const rightOrWrong = (random: RandomStream, mean: number): number => (random.uniform() < mean ? 1 : 0);

/** KL 4 with gains that flatten: the reward rises by 1.8 deviations, the held-out judge agrees with most of it. */
export function healthy(progress: number): Truth {
  const rootKl = 2 * (1 - Math.exp(-4 * progress));
  return {
    kl: rootKl ** 2,
    entropy: 1.2 - 0.6 * progress,
    proxy: 0.9 * rootKl,
    heldOut: 0.6 * rootKl,
    length: 12 + 2 * progress,
    same: 0.05,
    finished: 0.97,
  };
}

export function* observations({
  seed,
  iterations,
  batchSize,
  every,
  truth,
  draw = normal,
}: Run): Generator<MonitorObservation> {
  for (let iteration = 0; iteration < iterations; iteration++) {
    const random = randomStream(seed, 'monitoring/run', [iteration]);
    const scores = (mean: number): Float32Array => Float32Array.from({ length: batchSize }, () => draw(random, mean));
    const { kl, entropy, proxy, heldOut, length, same, finished } = truth(iteration / (iterations - 1));
    yield {
      iteration,
      // The log-ratio of one answer has mean KL and, for a small one, variance 2 · KL. Floats add the rest.
      kl: kl + Math.sqrt((2 * kl) / batchSize) * random.normal() + 1e-3 * random.normal(),
      entropy: entropy * (1 + 0.03 * random.normal()),
      scores: scores(proxy),
      prompts: Int32Array.from({ length: batchSize }, (_, row) => iteration * batchSize + row),
      responses: Array.from({ length: batchSize }, (_, row) => answer({ random, row, length, same })),
      finished: Array.from({ length: batchSize }, () => random.uniform() < finished),
      ...(every !== undefined && iteration % every === 0 && { heldOutScores: scores(heldOut) }),
    };
  }
}

/** Tokens that no other row of the batch has, or those of the text that all share. */
function answer({ random, row, length, same }: { random: RandomStream; row: number; length: number; same: number }) {
  const shared = random.uniform() < same;
  const tokens = new Array<number>(Math.max(1, Math.round(length * (1 + (shared ? 0 : 0.3) * random.normal())))).fill(
    7,
  );
  if (!shared) tokens[0] = 100 + row;
  return tokens;
}
