/**
 * Stops a run at the first number that is not finite, before the optimiser writes it into the weights.
 *
 * Leaves out: divergence that stays finite (exploding KL, reward hacking).
 */
import { type Parameters } from '@pavlov/tensor';

/** A quantity of training became NaN or infinite. Trying again from the same state gives the same. */
export class NonFiniteError extends Error {
  override readonly name = 'NonFiniteError';
  /** What broke, e.g. `loss` or `gradient of transformer.h.0.mlp.c_fc.weight`. */
  readonly quantity: string;
  readonly value: number;
  readonly step: number;

  constructor({ quantity, value, step }: { quantity: string; value: number; step: number }) {
    super(`${quantity} is ${value} at step ${step}`);
    this.quantity = quantity;
    this.value = value;
    this.step = step;
  }
}

/** @throws NonFiniteError for the first of the named quantities that is NaN or infinite. */
export function assertFinite({
  step,
  quantities,
}: {
  step: number;
  quantities: Readonly<Record<string, number>>;
}): void {
  for (const [quantity, value] of Object.entries(quantities)) {
    if (!Number.isFinite(value)) throw new NonFiniteError({ quantity, value, step });
  }
}

/**
 * Looks at the norm, which is one number, and searches the gradients only when it is not finite.
 *
 * @throws NonFiniteError naming the first parameter whose gradient broke.
 */
export function assertFiniteGradients(input: { step: number; norm: number; gradients: Parameters }): void {
  const { step, norm, gradients } = input;
  if (Number.isFinite(norm)) return;
  for (const [name, view] of Object.entries(gradients.views)) {
    const value = view.find((entry) => !Number.isFinite(entry));
    if (value !== undefined) throw new NonFiniteError({ quantity: `gradient of ${name}`, value, step });
  }
  throw new NonFiniteError({ quantity: 'gradient norm', value: norm, step });
}
