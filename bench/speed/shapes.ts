import type { TransformerConfig } from '@pavlov/model';

/** A model and the work that is measured on it. */
export interface Shape {
  readonly model: TransformerConfig;
  /** Tokens of a sequence in training and scoring. */
  readonly length: number;
  /** Sequences in training and scoring. */
  readonly batch: number;
  /** Tokens of a prompt, and tokens sampled after it. */
  readonly prompt: number;
  readonly answer: number;
}

export const shapeNames = ['tiny', 'small', 'gpt2'] as const;
export type ShapeName = (typeof shapeNames)[number];

/** PAD of every shape; PyTorch's side knows it too. */
const padId = 1;

/** A model for the benchmark, of the sizes given. */
export const modelOf = (sizes: Omit<TransformerConfig, 'padId'>): TransformerConfig => ({ ...sizes, padId });

export const shapes: Readonly<Record<ShapeName, Shape>> = {
  tiny: {
    model: modelOf({ layers: 4, heads: 4, width: 128, contextLength: 128, vocabSize: 512 }),
    length: 128,
    batch: 16,
    prompt: 32,
    answer: 96,
  },
  small: {
    model: modelOf({ layers: 6, heads: 6, width: 384, contextLength: 256, vocabSize: 4096 }),
    length: 256,
    batch: 8,
    prompt: 64,
    answer: 192,
  },
  gpt2: {
    model: modelOf({ layers: 12, heads: 12, width: 768, contextLength: 1024, vocabSize: 50257 }),
    length: 256,
    batch: 2,
    prompt: 64,
    answer: 64,
  },
};

/** The shape that a command line names. */
export function shapeFromArguments(name = 'tiny'): Shape {
  const found = shapeNames.find((one) => one === name);
  if (found === undefined) throw new Error(`There is no shape "${name}"; there are ${shapeNames.join(', ')}`);
  return shapes[found];
}

/** `L4 H4 C128 T128 V512`, T being the tokens of a sequence. */
export function describeShape({ model: { layers, heads, width, vocabSize }, length }: Shape): string {
  return `L${layers} H${heads} C${width} T${length} V${vocabSize}`;
}
