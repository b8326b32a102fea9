import {
  adamw,
  assertFinite,
  assertFiniteGradients,
  clipFactor,
  type EpsilonPlacement,
  globalNorm,
  NonFiniteError,
} from '@pavlov/algorithms';
import { PavlovError } from '@pavlov/contracts';
import { allocateParameters, type Parameters } from '@pavlov/tensor';

/** The optimiser fields that every training stage's config has. */
export interface OptimiserConfig {
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly epsilonPlacement: EpsilonPlacement;
  readonly clipNorm: number;
}

/** One set of weights with its gradient buffer and its optimiser. */
export interface Learner {
  readonly parameters: Parameters;
  /** The compiled training step writes here, and nowhere else are gradients kept. */
  readonly gradients: Parameters;
  /**
   * Checks, clips and applies the gradients; the weights change in place.
   *
   * @param losses Figures of this step that must be finite, by name.
   * @returns The gradients' norm before clipping.
   * @throws PavlovError NON_FINITE, before any weight is touched.
   */
  update(input: { learningRate: number; losses: Readonly<Record<string, number>> }): { gradientNorm: number };
}

export function createLearner(parameters: Parameters, config: OptimiserConfig): Learner {
  const gradients = allocateParameters(parameters.layout);
  const optimiser = adamw({ layout: parameters.layout, ...config });
  let state = optimiser.init();
  return {
    parameters,
    gradients,
    update: ({ learningRate, losses }) => {
      const step = state.step + 1;
      const gradientNorm = globalNorm(gradients.data);
      nameNonFinite(() => {
        assertFinite({ step, quantities: losses });
        assertFiniteGradients({ step, norm: gradientNorm, gradients });
      });
      const gradientScale = clipFactor({ norm: gradientNorm, maxNorm: config.clipNorm });
      state = optimiser.update({
        parameters: parameters.data,
        gradients: gradients.data,
        state,
        learningRate,
        gradientScale,
      });
      return { gradientNorm };
    },
  };
}

function nameNonFinite(check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error;
    throw new PavlovError(
      {
        code: 'NON_FINITE',
        field: error.quantity,
        message: `Training broke down: ${error.message}.`,
        hint: 'Lower the learning rate or clipNorm, and look at the last metrics.',
      },
      { cause: error },
    );
  }
}
