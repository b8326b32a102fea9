/**
 * An affine map of reward-model scores, so that their scale means something.
 *
 * Method and reference: a bias so that human demonstrations score 0 on average (InstructGPT §3.5); or gain and bias so
 * that samples of the initial policy have a wanted mean and spread, before and after training (Ziegler et al. 2019 §2:
 * gain = σ_target / σ_data, bias = μ_target − gain · μ_data).
 * Neither changes a pair's order; the gain changes what β buys, the bias only the −1 of unfinished answers.
 * Leaves out: running normalisation during PPO, which would move the goal while the policy learns.
 */
import { type Numbers } from '../rollouts/grid';
import { maskedMoments, type Moments } from '../rollouts/moments';

/** normalised = gain · score + bias. */
export interface Normalisation {
  readonly gain: number;
  readonly bias: number;
}

/** Demonstrations score 0 on average; differences between scores stay as they are. */
export function centreOnDemonstrations(scores: Numbers): Normalisation {
  return { gain: 1, bias: -scoreMoments(scores).mean };
}

/**
 * The samples get the mean and standard deviation asked for (biased variance).
 *
 * @throws RangeError if all samples score the same: no gain can spread them.
 */
export function standardise(input: { scores: Numbers; mean?: number; deviation?: number }): Normalisation {
  const { scores, mean = 0, deviation = 1 } = input;
  const data = scoreMoments(scores);
  if (data.variance === 0) throw new RangeError('every sample has the same score, so no gain can spread them');
  const gain = deviation / Math.sqrt(data.variance);
  return { gain, bias: mean - gain * data.mean };
}

/** The scores after `normalisation`. */
export function normalise({ scores, normalisation }: { scores: Numbers; normalisation: Normalisation }): Float32Array {
  return Float32Array.from(scores, (score) => normalisation.gain * score + normalisation.bias);
}

/** Mean and biased variance of scores. @throws RangeError if there are none. */
export function scoreMoments(scores: Numbers): Moments {
  return maskedMoments({ values: scores, mask: new Uint8Array(scores.length).fill(1) });
}
