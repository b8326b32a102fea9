/**
 * Exponential moving average of weights (Polyak & Juditsky 1992); InstructGPT keeps one with decay 0.992 and evaluates it.
 *
 * Leaves out: bias correction. The average starts as a copy of the weights, so there is no bias to correct.
 */

import { sweepsOf } from './sweep';

/** average ← decay · average + (1 − decay) · parameters, in place. */
export function updateAverage(input: { average: Float32Array; parameters: Float32Array; decay: number }): void {
  const { average, parameters, decay } = input;
  if (average.length !== parameters.length) {
    throw new RangeError(`an average of ${average.length} numbers does not fit ${parameters.length} parameters`);
  }
  // From the difference: equal weights then stay exactly equal.
  sweepsOf(average, parameters).average({ average, parameters, share: 1 - decay });
}
