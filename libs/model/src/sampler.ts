/**
 * Chooses the next token of one row of `probabilities` [B, V]; `uniform` in [0, 1) decides. Returns −1 when the row is not
 * a distribution, which is what a model that has diverged gives.
 */
export type Sampler = (probabilities: Float32Array, row: number, uniform: number) => number;

export interface SamplerOptions {
  readonly vocabSize: number;
  /** 0 is greedy: the most probable token, of equal ones the first. */
  readonly temperature: number;
  /** Keeps the k most probable tokens; 0 keeps all. */
  readonly topK: number;
  /** Then keeps the fewest most probable tokens that make up this share of what is left; 1 keeps all (Holtzman et al. 2020). */
  readonly topP: number;
}

/** The sampler for these options. It allocates nothing per token. */
export function createSampler({ vocabSize, temperature, topK, topP }: SamplerOptions): Sampler {
  if (temperature === 0) return (probabilities, row) => largest(probabilities, row * vocabSize, vocabSize);
  if (topK === 0 && topP === 1)
    return (probabilities, row, uniform) => invert(probabilities, { start: row * vocabSize, size: vocabSize, uniform });

  const kept = new Float32Array(vocabSize);
  const sorted = new Float32Array(vocabSize);
  const limit = topK === 0 ? vocabSize : Math.min(topK, vocabSize);
  return (probabilities, row, uniform) => {
    const start = row * vocabSize;
    for (let i = 0; i < vocabSize; i++) kept[i] = sorted[i] = probabilities[start + i];
    sorted.sort();
    const count = countKept(sorted, limit, topP);
    dropAllBut(kept, count, sorted[vocabSize - count]);
    return invert(kept, { start: 0, size: vocabSize, uniform });
  };
}

function largest(weights: Float32Array, start: number, size: number): number {
  let best = start;
  for (let i = start + 1; i < start + size; i++) if (weights[i] > weights[best]) best = i;
  return weights[best] > 0 ? best - start : -1;
}

/**
 * Inverts the cumulative distribution in order of ids: the first id at which the running sum exceeds `uniform` of the
 * total. Ids of weight zero are never chosen.
 */
function invert(
  weights: Float32Array,
  { start, size, uniform }: { start: number; size: number; uniform: number },
): number {
  const end = start + size;
  let total = 0;
  for (let i = start; i < end; i++) total += weights[i];
  const target = uniform * total;
  let sum = 0;
  // The sum is formed just as the total was, so it exceeds the target before the end.
  for (let i = start; i < end; i++) {
    sum += weights[i];
    if (sum > target) return i - start;
  }
  return -1;
}

/** How many of the largest entries to keep; `sorted` ascends. */
function countKept(sorted: Float32Array, limit: number, topP: number): number {
  const last = sorted.length - 1;
  let total = 0;
  for (let i = 0; i < limit; i++) total += sorted[last - i];
  let sum = 0;
  for (let i = 0; i < limit; i++) {
    sum += sorted[last - i];
    if (sum >= topP * total) return i + 1;
  }
  return limit;
}

/** Zeroes all but the `count` largest entries, `threshold` being the smallest of those; of equal ones the first stay. */
function dropAllBut(weights: Float32Array, count: number, threshold: number): void {
  let atThreshold = count;
  for (let i = 0; i < weights.length; i++) if (weights[i] > threshold) atThreshold--;
  for (let i = 0; i < weights.length; i++) {
    const stays = weights[i] > threshold || (weights[i] === threshold && atThreshold-- > 0);
    if (!stays) weights[i] = 0;
  }
}
