/**
 * The comparisons inside a ranking: which answer beat which, ties dropped (InstructGPT §3.5).
 */
import { sharedLength } from '../check';
import { type Numbers } from '../rollouts/grid';

/** Indices of two answers to one prompt. */
export interface Pair {
  readonly winner: number;
  readonly loser: number;
}

/** Every untied pair of a ranking; `ranks[i]` is the rank of answer i, 1 is best, equal ranks are ties. */
export function untiedPairs(ranks: Numbers): Pair[] {
  const pairs: Pair[] = [];
  for (let i = 0; i < ranks.length; i++) {
    for (let j = i + 1; j < ranks.length; j++) {
      if (ranks[i] < ranks[j]) pairs.push({ winner: i, loser: j });
      else if (ranks[i] > ranks[j]) pairs.push({ winner: j, loser: i });
    }
  }
  return pairs;
}

/**
 * Weights of the pairs of B rankings for `rankingLoss`; flat [B, K, K], entry (b, i, j) is positive where answer i beat
 * answer j. The pairs of a prompt share its weight equally, and prompts weigh the same: 1 / (prompts · pairs).
 *
 * A ranking of fewer than K answers leaves the rest 0, so one compiled graph serves every size up to K.
 *
 * @param rankings The ranks of each prompt's answers.
 * @param maxAnswers K.
 * @param prompts How many prompts the mean runs over; by default those of this batch with an untied pair. With gradient
 *   accumulation, pass the count over all microbatches (`promptsWithPairs`).
 */
export function rankingPairWeights(input: {
  rankings: readonly Numbers[];
  maxAnswers: number;
  prompts?: number;
}): Float32Array {
  const { rankings, maxAnswers: k, prompts = promptsWithPairs(rankings) } = input;
  const weights = new Float32Array(rankings.length * k * k);
  rankings.forEach((ranks, row) => {
    if (ranks.length > k) throw new RangeError(`ranking ${row} has ${ranks.length} answers, more than ${k}`);
    const pairs = untiedPairs(ranks);
    for (const { winner, loser } of pairs) weights[(row * k + winner) * k + loser] = 1 / (prompts * pairs.length);
  });
  return weights;
}

/** How many rankings hold an untied pair. The others teach nothing and count in no mean. */
export function promptsWithPairs(rankings: readonly Numbers[]): number {
  return rankings.filter((ranks) => untiedPairs(ranks).length > 0).length;
}

/** Score of the winner minus score of the loser for every untied pair of every ranking, in order. */
export function preferenceMargins(input: { scores: readonly Numbers[]; rankings: readonly Numbers[] }): number[] {
  const { scores, rankings } = input;
  sharedLength({ scores, rankings });
  return rankings.flatMap((ranks, row) => {
    sharedLength({ scores: scores[row], ranks });
    return untiedPairs(ranks).map(({ winner, loser }) => scores[row][winner] - scores[row][loser]);
  });
}
