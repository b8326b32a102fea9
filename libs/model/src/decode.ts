import { cachedAttention, embedding, layerNorm, sample, tf } from '@pavlov/tensor';
import { layerNormEpsilon, type TransformerConfig } from './config';
import type { Weights } from './forward';
import { blockName } from './layout';
import type { StepMaps } from './step-weights';

export interface DecodeInput {
  /** What `maps` and the embeddings read, and the caches `pastK0`, `pastV0` …, [N, H, L, D]. */
  readonly inputs: Weights;
  readonly maps: StepMaps;
  /** Int32 [N], or whole prompts [N, P], right-padded. */
  readonly tokens: tf.Tensor;
  /** Where each row's last token stands, int32 [N]. */
  readonly positions: tf.Tensor;
  /** [1] */
  readonly temperature: tf.Tensor;
  /** What decides the sample, [N] in [0, 1); without it there is none, but all probabilities. */
  readonly uniforms?: tf.Tensor;
  /**
   * Whether, of whole prompts, only the last tokens go on after the last attention, as N rows. ONNX Runtime's own products of few rows
   * depend on the number of threads.
   */
  readonly fewRows?: boolean;
}

/**
 * Reads a token of each of N rows, or whole prompts, and gives the `probabilities` [N, V] of the next one, or a `Sample` of it; and
 * the caches `presentK0` ….
 */
export function decode(
  { inputs, maps, tokens, positions, temperature, uniforms, fewRows }: DecodeInput,
  { layers, width }: TransformerConfig,
): Record<string, tf.Tensor> {
  const [rows, length = 1] = tokens.shape;
  const lengths = tf.add(positions, tf.scalar(1, 'int32'));
  const total = length === 1 ? tf.max(lengths, 0, true) : tf.tensor1d([length], 'int32'); // [1]
  const ids = tf.reshape(tokens, [rows * length]);
  const places = length === 1 ? positions : tf.tile(tf.range(0, length, 1, 'int32'), [rows]);
  const caches: Record<string, tf.Tensor> = {};
  const norm = (name: string, x: tf.Tensor): tf.Tensor =>
    layerNorm(x, inputs[`${name}.weight`], inputs[`${name}.bias`], layerNormEpsilon);

  /** What follows from each row's last token alone. */
  const lastOf = (all: tf.Tensor): tf.Tensor => {
    if (length === 1 || all.shape[0] === rows) return all;
    const starts = tf.range(0, rows * length, length, 'int32');
    return tf.gather(all, tf.add<tf.Tensor1D>(starts, positions)); // [N, C]
  };

  let residual = tf.add(
    embedding(inputs['transformer.wte.weight'], ids),
    embedding(inputs['transformer.wpe.weight'], places),
  ); // [N·P, C]
  for (let layer = 0; layer < layers; layer++) {
    const name = (part: string): string => blockName(layer, part);
    const qkv = maps.project(name('attn.c_attn'), norm(name('ln_1'), residual)); // [N·P, 3C]
    const { y, presentK, presentV } = cachedAttention({
      qkv: tf.reshape(qkv, [rows, length, 3 * width]),
      pastK: inputs[`pastK${layer}`],
      pastV: inputs[`pastV${layer}`],
      lengths,
      total,
    });
    caches[`presentK${layer}`] = presentK;
    caches[`presentV${layer}`] = presentV;
    const pick = fewRows && layer === layers - 1 ? lastOf : (all: tf.Tensor): tf.Tensor => all;
    residual = maps.project(name('attn.c_proj'), pick(tf.reshape(y, [rows * length, width])), pick(residual));
    residual = maps.mlp(layer, norm(name('ln_2'), residual), residual);
  }
  const logits = maps.logits(tf.div(norm('transformer.ln_f', lastOf(residual)), temperature)); // [N, V]
  if (uniforms) return { ...sample({ logits, uniforms }), ...caches };
  return { probabilities: tf.softmax(logits, -1), ...caches };
}
