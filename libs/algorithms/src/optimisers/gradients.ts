/**
 * Global-norm clipping and accumulation over flat gradient buffers.
 *
 * Reference: Pascanu et al. 2013 (arXiv 1211.5063). The factor is exactly maxNorm / norm, as in TensorFlow; PyTorch adds
 * 1e-6 to the norm.
 * Leaves out: clipping per parameter.
 */

/** Euclidean norm of the whole buffer, in double precision and a fixed order. NaN and infinities come through. */
export function globalNorm(gradients: Float32Array): number {
  // Four sums, so that the additions do not wait for one another.
  let [a, b, c, d] = [0, 0, 0, 0];
  const even = gradients.length - (gradients.length % 4);
  for (let i = 0; i < even; i += 4) {
    a += gradients[i] * gradients[i];
    b += gradients[i + 1] * gradients[i + 1];
    c += gradients[i + 2] * gradients[i + 2];
    d += gradients[i + 3] * gradients[i + 3];
  }
  for (let i = even; i < gradients.length; i++) a += gradients[i] * gradients[i];
  return Math.sqrt(a + b + (c + d));
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
  for (let i = 0; i < total.length; i++) total[i] += gradients[i];
}
