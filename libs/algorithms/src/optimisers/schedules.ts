/**
 * Learning rates as functions of the step, composed: `warmUp({ steps: 10, then: linearDecay({ peak, steps: 490 }) })`.
 *
 * Reference: cosine to a floor, Loshchilov & Hutter 2017 (arXiv 1608.03983) without restarts, as InstructGPT appendix C
 * (floor 10 % of the peak); linear to 0, Huang et al. 2023 (docs/stages/ppo.md, detail 5).
 * Leaves out: restarts, and schedules that look at the loss.
 */

/** Learning rate at a step, counted from 0. */
export type Schedule = (step: number) => number;

export function constantRate(rate: number): Schedule {
  return () => rate;
}

/** From `peak` at step 0 to 0 at step `steps`; 0 afterwards. The last step taken, `steps − 1`, still moves. */
export function linearDecay({ peak, steps }: { peak: number; steps: number }): Schedule {
  assertSteps(steps);
  return (step) => peak * Math.max(1 - step / steps, 0);
}

/** Half a cosine from `peak` at step 0 to `floor` at step `steps`; `floor` afterwards. */
export function cosineDecay({ peak, floor, steps }: { peak: number; floor: number; steps: number }): Schedule {
  assertSteps(steps);
  return (step) => floor + ((peak - floor) * (1 + Math.cos(Math.PI * Math.min(step / steps, 1)))) / 2;
}

/**
 * A linear rise over the first `steps` steps, then `then`, which counts from its own 0 and starts at its peak.
 *
 * @param from Share of the peak at step 0; 1/10 in InstructGPT's PPO. By default 1 / (steps + 1): equal rises, and no
 *   step is lost to a rate of 0.
 */
export function warmUp(input: { steps: number; from?: number; then: Schedule }): Schedule {
  const { steps, from = 1 / (steps + 1), then } = input;
  const peak = then(0);
  return (step) => (step < steps ? peak * (from + (1 - from) * (step / steps)) : then(step - steps));
}

function assertSteps(steps: number): void {
  if (!(steps > 0)) throw new RangeError(`a decay needs a positive number of steps, got ${steps}`);
}
