import { PavlovError, type SamplingWeights } from '@pavlov/contracts';
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

/**
 * The engine that answers are sampled on. Where weights are in 8 bits, all else that products read is in bfloat16, if the machine can.
 *
 * @throws PavlovError PRECISION_UNAVAILABLE if the machine cannot sample in bfloat16, and is asked to
 */
export async function openSamplingEngine(options: { threads: number; weights: SamplingWeights }): Promise<Engine> {
  const { threads, weights } = options;
  if (weights !== 'int8') return openEngine({ threads, precision: weights, field: 'weights' });
  try {
    return await createEngine({ threads, precision: 'bfloat16' });
  } catch (error) {
    if (!(error instanceof PrecisionUnavailableError)) throw error;
    return createEngine({ threads });
  }
}
