import { PavlovError } from '@pavlov/contracts';
import { createEngine, type Engine, type Precision, PrecisionUnavailableError } from '@pavlov/tensor';

interface JobEngineOptions {
  readonly threads: number;
  /** What matrix products read; float32 by default. */
  readonly precision?: Precision;
  /** The option that asked for the precision, for the error. */
  readonly field?: string;
}

/**
 * The engine of a job or a request, on the best kernels of the machine.
 *
 * @throws PavlovError PRECISION_UNAVAILABLE if the machine cannot compute in the precision: nothing falls back
 */
export async function openEngine({ field = 'precision', ...options }: JobEngineOptions): Promise<Engine> {
  try {
    return await createEngine(options);
  } catch (error) {
    if (!(error instanceof PrecisionUnavailableError)) throw error;
    const { precision, reason } = error;
    throw new PavlovError(
      {
        code: 'PRECISION_UNAVAILABLE',
        field,
        message: `The machine that was to run this cannot compute in ${precision}: ${reason}.`,
        hint: `Leave \`${field}\` out to compute in float32, or run the service where it can: on Linux, and a processor with AVX512_BF16 (AMD Zen 4 or later; Intel Cooper Lake, Sapphire Rapids or later).`,
      },
      { cause: error },
    );
  }
}
