import type { TransformerConfig } from '@pavlov/model';

interface BenchSize {
  readonly config: TransformerConfig;
  /** Sequences of a training step. */
  readonly batch: number;
}

const size = (config: Omit<TransformerConfig, 'padId'>, batch: number): BenchSize => ({
  config: { ...config, padId: 1 },
  batch,
});

export const sizes: Readonly<Record<string, BenchSize>> = {
  tiny: size({ layers: 4, heads: 4, width: 128, contextLength: 128, vocabSize: 512 }, 16),
  small: size({ layers: 6, heads: 6, width: 384, contextLength: 256, vocabSize: 4096 }, 8),
  gpt2: size({ layers: 12, heads: 12, width: 768, contextLength: 256, vocabSize: 50257 }, 2),
};

/** The size that the command line names. */
export function sizeFromArguments(name = 'tiny'): BenchSize {
  const found = sizes[name];
  if (!found) throw new Error(`There is no size "${name}"; there are ${Object.keys(sizes).join(', ')}`);
  return found;
}

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
