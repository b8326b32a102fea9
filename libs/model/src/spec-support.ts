import { randomStream } from '@pavlov/random';
import { allocateParameters, type Parameters } from '@pavlov/tensor';
import type { Head, TransformerConfig } from './config';
import { transformerLayout } from './layout';

/** A transformer small enough for unit tests. */
export const smallConfig: TransformerConfig = {
  vocabSize: 40,
  contextLength: 16,
  layers: 2,
  heads: 2,
  width: 16,
  padId: 1,
};

/** Random parameters, every one of which matters: weights are large, biases and normalisations are not 0 and 1. */
export function shakenParameters(config: TransformerConfig, head: Head, seed: number): Parameters {
  const parameters = allocateParameters(transformerLayout(config, head));
  for (const [name, view] of Object.entries(parameters.views)) {
    const { normal } = randomStream(seed, name);
    const centre = /ln_[12f]\.weight$/.test(name) ? 1 : 0;
    for (let i = 0; i < view.length; i++) view[i] = centre + 0.3 * normal();
  }
  return parameters;
}

/** Sequences of the given lengths, without EOS (0) and PAD (1). */
export function randomSequences(lengths: readonly number[], vocabSize: number, seed: number): number[][] {
  return lengths.map((length, row) => {
    const { below } = randomStream(seed, 'sequences', [row]);
    return Array.from({ length }, () => 2 + below(vocabSize - 2));
  });
}
