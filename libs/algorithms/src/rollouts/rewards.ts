/**
 * From one score per response to one reward per token.
 *
 * Method: reward_t = −β · KL_t, and the score of the whole response is added on its last real token.
 * Reference: Ziegler et al. 2019 §2; InstructGPT §3.5 eq. 2; Huang et al. 2023 (docs/stages/ppo.md, details 11 and 14).
 * Leaves out: length penalties, reward clipping, and process rewards per step of an answer.
 */
import { sharedLength } from '../check';
import { columnsOf, type Numbers } from './grid';

/**
 * Replaces the scores of responses that never ended. A model that is paid for unfinished text stops emitting EOS.
 *
 * @param finished Per response: whether EOS was sampled.
 * @param penalty The score that they get instead; −1 in the reference.
 */
export function scoreUnfinished(input: {
  scores: Numbers;
  finished: readonly boolean[];
  penalty?: number;
}): Float32Array {
  const { scores, finished, penalty = -1 } = input;
  sharedLength({ scores, finished });
  return Float32Array.from(scores, (score, row) => (finished[row] ? score : penalty));
}

/**
 * Per-token rewards of B responses; flat [B, T], 0 at masked positions.
 *
 * @param kl Per-token KL estimates, flat [B, T], in nats.
 * @param scores One score per response, B.
 * @param coefficient β.
 * @throws RangeError if a response has no real token: its score would be lost.
 */
export function tokenRewards(input: {
  kl: Numbers;
  mask: Numbers;
  scores: Numbers;
  coefficient: number;
}): Float32Array {
  const { kl, mask, scores, coefficient } = input;
  const length = sharedLength({ kl, mask });
  const columns = columnsOf(length, scores.length);
  const rewards = Float32Array.from(mask, (real, i) => (real > 0 ? -coefficient * kl[i] : 0));
  for (let row = 0; row < scores.length; row++) {
    const start = row * columns;
    let last = start + columns - 1;
    while (last >= start && !(mask[last] > 0)) last--;
    if (last < start) throw new RangeError(`response ${row} has no real token to carry its score`);
    // From the unrounded penalty, so that the sum is rounded once.
    rewards[last] = scores[row] - coefficient * kl[last];
  }
  return rewards;
}
