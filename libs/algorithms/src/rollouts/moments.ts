import { sharedLength } from '../check';
import { type Numbers } from './grid';

export interface Moments {
  /** Number of real tokens. */
  readonly count: number;
  readonly mean: number;
  /** Biased: the sum of squares is divided by `count`, as the reference code does. */
  readonly variance: number;
}

/**
 * Mean and biased variance of the values where the mask is 1, in two passes and double precision.
 *
 * @throws RangeError if nothing is unmasked: a batch without a single real token is a fault upstream.
 */
export function maskedMoments({ values, mask }: { values: Numbers; mask: Numbers }): Moments {
  const length = sharedLength({ values, mask });
  let count = 0;
  let sum = 0;
  for (let i = 0; i < length; i++) {
    if (mask[i] > 0) {
      count++;
      sum += values[i];
    }
  }
  if (count === 0) throw new RangeError('the mask leaves no value to average');
  const mean = sum / count;
  let squares = 0;
  for (let i = 0; i < length; i++) if (mask[i] > 0) squares += (values[i] - mean) ** 2;
  return { count, mean, variance: squares / count };
}
