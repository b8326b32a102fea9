/**
 * Generalised advantage estimation over the tokens of each response.
 *
 * Method, backwards over the real tokens of a row, with V = A = 0 after the last one (the episode ends there):
 *   δ_t = r_t + γ · V_{t+1} − V_t        A_t = δ_t + γ · λ · A_{t+1}        return_t = A_t + V_t
 * Reference: Schulman et al. 2016 (arXiv 1506.02438) eq. 16; λ = 0.95 and γ = 1 as in Stiennon et al. 2020.
 * Leaves out: bootstrapping a truncated response from the value of its last state; a response cut at the length limit
 * counts as ended, as in the reference.
 */
import { sharedLength } from '../check';
import { columnsOf, type Numbers } from './grid';

export interface Advantages {
  /** Flat [B, T]; 0 at masked positions. */
  readonly advantages: Float32Array;
  /** Targets of the value network, flat [B, T]; 0 at masked positions. */
  readonly returns: Float32Array;
}

/**
 * @param rewards Per-token rewards, flat [B, T].
 * @param values V of the state that each token was sampled in, flat [B, T].
 * @param rows B.
 * @param gamma Discount γ.
 * @param lambda λ: 0 trusts the values (TD error), 1 trusts the rewards (Monte Carlo).
 */
export function generalisedAdvantages(input: {
  rewards: Numbers;
  values: Numbers;
  mask: Numbers;
  rows: number;
  gamma: number;
  lambda: number;
}): Advantages {
  const { rewards, values, mask, rows, gamma, lambda } = input;
  const length = sharedLength({ rewards, values, mask });
  const columns = columnsOf(length, rows);
  const advantages = new Float32Array(length);
  const returns = new Float32Array(length);
  for (let row = 0; row < rows; row++) {
    let nextValue = 0;
    let nextAdvantage = 0;
    for (let i = (row + 1) * columns - 1; i >= row * columns; i--) {
      if (!(mask[i] > 0)) continue;
      const delta = rewards[i] + gamma * nextValue - values[i];
      const advantage = delta + gamma * lambda * nextAdvantage;
      advantages[i] = advantage;
      returns[i] = advantage + values[i];
      nextAdvantage = advantage;
      nextValue = values[i];
    }
  }
  return { advantages, returns };
}
