import { layoutParameters, type ParameterLayout, type ParameterSpec } from '@pavlov/tensor';
import { checkConfig, type Head, type TransformerConfig } from './config';

/** Name of a block's parameter as Hugging Face's GPT-2 has it. */
export const blockName = (layer: number, name: string): string => `transformer.h.${layer}.${name}`;

/**
 * Parameters of a transformer under Hugging Face's GPT-2 names. Linear maps are `Conv1D`s, [in, out]. The `lm` head has
 * no parameters of its own: the logits come from the token embeddings. The `scalar` head is `score.weight` [1, C].
 */
export function transformerLayout(config: TransformerConfig, head: Head): ParameterLayout {
  checkConfig(config);
  const { vocabSize, contextLength, layers, width } = config;
  const norm = (name: string): ParameterSpec[] => [
    { name: `${name}.weight`, shape: [width] },
    { name: `${name}.bias`, shape: [width] },
  ];
  const linear = (name: string, [inputs, outputs]: readonly [number, number]): ParameterSpec[] => [
    { name: `${name}.weight`, shape: [inputs, outputs] },
    { name: `${name}.bias`, shape: [outputs] },
  ];
  const block = (layer: number): ParameterSpec[] => [
    ...norm(blockName(layer, 'ln_1')),
    ...linear(blockName(layer, 'attn.c_attn'), [width, 3 * width]),
    ...linear(blockName(layer, 'attn.c_proj'), [width, width]),
    ...norm(blockName(layer, 'ln_2')),
    ...linear(blockName(layer, 'mlp.c_fc'), [width, 4 * width]),
    ...linear(blockName(layer, 'mlp.c_proj'), [4 * width, width]),
  ];
  return layoutParameters([
    { name: 'transformer.wte.weight', shape: [vocabSize, width] },
    { name: 'transformer.wpe.weight', shape: [contextLength, width] },
    ...Array.from({ length: layers }, (_, layer) => block(layer)).flat(),
    ...norm('transformer.ln_f'),
    ...(head === 'scalar' ? [{ name: 'score.weight', shape: [1, width] }] : []),
  ]);
}
