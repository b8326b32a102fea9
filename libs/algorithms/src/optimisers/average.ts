/**
 * Exponential moving average of weights (Polyak & Juditsky 1992); InstructGPT keeps one with decay 0.992 and evaluates it.
 *
 * Leaves out: bias correction. The average starts as a copy of the weights, so there is no bias to correct.
 */

/** average ← decay · average + (1 − decay) · parameters, in place. */
export function updateAverage(input: { average: Float32Array; parameters: Float32Array; decay: number }): void {
  const { average, parameters, decay } = input;
  if (average.length !== parameters.length) {
    throw new RangeError(`an average of ${average.length} numbers does not fit ${parameters.length} parameters`);
  }
  const share = 1 - decay;
  // From the difference: equal weights then stay exactly equal.
  for (let i = 0; i < average.length; i++) average[i] += share * (parameters[i] - average[i]);
}
