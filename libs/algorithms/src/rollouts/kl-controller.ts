/**
 * How the KL coefficient β changes from one PPO iteration to the next.
 *
 * Method (Ziegler et al. 2019 §2.2): e = clip(KL / target − 1, −0.2, 0.2); β ← β · (1 + gain · e).
 * Reference: the paper fixes gain = 0.1 per iteration; its code (lm-human-preferences `AdaptiveKLController`) has
 * gain = episodes / horizon, which keeps the pace per episode when the batch size changes. Both are here.
 * Leaves out: controllers with an integral term, and bounds on β.
 */

export interface KlState {
  /** β of the iteration that has just ended. */
  readonly coefficient: number;
  /** Mean KL per response measured in it, in nats. */
  readonly kl: number;
}

/** β for the next iteration. The coefficient is the controller's whole state. */
export type KlController = (state: KlState) => number;

/** β never changes (InstructGPT: 0.02). */
export const fixedKl: KlController = ({ coefficient }) => coefficient;

/**
 * Steers the KL to `target` nats per response.
 *
 * @param gain Largest part of β's change per iteration is 0.2 · gain.
 */
export function adaptiveKl({ target, gain = 0.1 }: { target: number; gain?: number }): KlController {
  if (!(target > 0)) throw new RangeError(`adaptiveKl: the target must be positive, got ${target}`);
  return ({ coefficient, kl }) => {
    // A NaN would turn β into NaN for good.
    if (!Number.isFinite(kl)) throw new RangeError(`adaptiveKl: the measured KL is ${kl}`);
    const error = Math.min(Math.max(kl / target - 1, -0.2), 0.2);
    return coefficient * (1 + gain * error);
  };
}

/** The same with a pace per episode: over `horizon` episodes β changes by a factor of about e^±0.2 at most. */
export function adaptiveKlOverHorizon(options: { target: number; horizon: number; episodes: number }): KlController {
  return adaptiveKl({ target: options.target, gain: options.episodes / options.horizon });
}
