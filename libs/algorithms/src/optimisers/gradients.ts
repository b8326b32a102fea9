/**
 * Global-norm clipping and accumulation over flat gradient buffers.
 *
 * Reference: Pascanu et al. 2013 (arXiv 1211.5063). The factor is exactly maxNorm / norm, as in TensorFlow; PyTorch adds
 * 1e-6 to the norm.
 * Leaves out: clipping per parameter.
 */
import { sweepsOf } from './sweep';

/** Euclidean norm of the whole buffer, in double precision and a fixed order. NaN and infinities come through. */
export function globalNorm(gradients: Float32Array): number {
  return Math.sqrt(sweepsOf(gradients).squares(gradients));
}

/**
 * The factor that brings a gradient of norm `norm` down to `maxNorm`; 1 if it is no longer than that. Hand it to the
 * optimiser as `gradientScale`: that saves a pass over the buffer.
 */
export function clipFactor({ norm, maxNorm }: { norm: number; maxNorm: number }): number {
  return norm > maxNorm ? maxNorm / norm : 1;
}

/** total += gradients, element by element. */
export function accumulate({ total, gradients }: { total: Float32Array; gradients: Float32Array }): void {
  if (total.length !== gradients.length) {
    throw new RangeError(`cannot add ${gradients.length} gradients to ${total.length}`);
  }
  sweepsOf(total, gradients).accumulate(total, gradients);
}
