import { PavlovError } from '@pavlov/contracts';

/** Size of a GPT-2 transformer (Radford et al. 2019). */
export interface TransformerConfig {
  /** V. Token ids are 0 … V − 1. */
  readonly vocabSize: number;
  /** Longest sequence, in tokens. */
  readonly contextLength: number;
  /** L, transformer blocks. */
  readonly layers: number;
  /** H, attention heads; they divide the width into multiples of 8. */
  readonly heads: number;
  /** C, size of the residual stream. */
  readonly width: number;
  /** PAD. It has probability zero everywhere: in sampling, in scoring and in training. */
  readonly padId: number;
}

/** What sits on the trunk: next-token logits with tied embeddings, or one number per token. */
export type Head = 'lm' | 'scalar';

/** ε of every layer normalisation. */
export const layerNormEpsilon = 1e-5;

/** ONNX Runtime's attention over a cache wants heads of a multiple of this in width. */
const headMultiple = 8;

/** @throws PavlovError CONFIG_CONFLICT unless the sizes fit together */
export function checkConfig(config: TransformerConfig): void {
  const { vocabSize, contextLength, layers, heads, width, padId } = config;
  for (const [field, value] of Object.entries({ vocabSize, contextLength, layers, heads, width })) {
    if (!Number.isInteger(value) || value < 1)
      throw conflict(field, `${field} must be a positive whole number, got ${value}`);
  }
  if (width % (heads * headMultiple) !== 0) {
    throw conflict(
      'heads',
      `${heads} heads do not divide a width of ${width} into parts that are multiples of ${headMultiple}`,
    );
  }
  if (!Number.isInteger(padId) || padId < 0 || padId >= vocabSize) {
    throw conflict('padId', `padId must be a token id below ${vocabSize}, got ${padId}`);
  }
}

function conflict(field: string, message: string): PavlovError {
  return new PavlovError({
    code: 'CONFIG_CONFLICT',
    field,
    message: `${message}.`,
    hint: 'Choose sizes of the transformer that fit together.',
  });
}
