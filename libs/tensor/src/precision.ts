import { computesBfloat16, type VectorExtension } from '@pavlov/kernels';
import type { BackendName, EngineOptions } from './engine';
import type { Binding } from './session';

/**
 * What matrix products read: numbers as they are, or rounded to bfloat16, which has the range of float32 and 8 bits of
 * precision. They add up in float32 either way.
 */
export type Precision = 'float32' | 'bfloat16';

/** A precision that an engine cannot compute in. */
export class PrecisionUnavailableError extends Error {
  override readonly name = 'PrecisionUnavailableError';

  /** @param reason What is missing, as the end of a sentence. */
  constructor(
    readonly precision: Precision,
    readonly reason: string,
  ) {
    super(`An engine cannot compute in ${precision}: ${reason}. Leave \`precision\` out to compute in float32.`);
  }
}

/** What an engine has become: what it was asked for, or by default what the machine has. */
interface Chosen {
  readonly backend: BackendName;
  readonly binding: Binding['name'] | undefined;
  readonly kernels: VectorExtension | undefined;
}

/** @throws PrecisionUnavailableError if the engine cannot have the precision that its options ask for. Nothing falls back. */
export function choosePrecision({ precision = 'float32', ...asked }: EngineOptions, chosen: Chosen): Precision {
  const missing = precision === 'bfloat16' ? missingForBfloat16(asked, chosen) : undefined;
  if (missing !== undefined) throw new PrecisionUnavailableError(precision, missing);
  return precision;
}

function missingForBfloat16(asked: EngineOptions, { backend, binding, kernels }: Chosen): string | undefined {
  if (backend !== 'onnxruntime') return `the backend '${backend}' has float32 only`;
  if (asked.kernels === 'none' || asked.kernels === 'avx2')
    return `it takes kernels for 'avx512', and '${asked.kernels}' was asked for`;
  if (binding !== 'c-api') return 'it takes ONNX Runtime’s C API, which is not what this engine uses';
  if (kernels !== 'avx512') return 'it takes kernels for AVX-512, which this machine cannot run';
  return computesBfloat16() ? undefined : 'the processor has no AVX512_BF16';
}
