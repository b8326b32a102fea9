import {
  cachedAttention,
  embedding,
  parameterSignature,
  tf,
  type CompiledFunction,
  type Engine,
  type Signature,
} from '@pavlov/tensor';
import type { TransformerConfig } from './config';
import { lmLogits, trunk, type Weights } from './forward';
import { transformerLayout } from './layout';

export interface DecoderShape {
  readonly config: TransformerConfig;
  /** B, rows decoded together. */
  readonly batch: number;
  /** P, room for a prompt. */
  readonly maxPromptTokens: number;
  readonly maxNewTokens: number;
}

/**
 * The two graphs of KV-cached decoding. Both take the caches `pastK0`, `pastV0` … [B, H, P + maxNewTokens, D] and append
 * to them in place, and give `probabilities` [B, V] of each row's next token at `temperature` [1].
 */
export interface Decoder {
  /** Whole prompts: `tokens` [B, P] right-padded, `lengths` [B], `last` [B] the flat index of each row's last token. */
  readonly prefill: CompiledFunction;
  /** One more token per row: `tokens` [B], `lengths` [B] with that token, `longest` [1] the largest of them. */
  readonly step: CompiledFunction;
  readonly cacheNames: readonly string[];
}

export async function compileDecoder(engine: Engine, shape: DecoderShape): Promise<Decoder> {
  const { config, batch, maxPromptTokens, maxNewTokens } = shape;
  const { heads, width } = config;
  const cacheNames = Array.from({ length: config.layers }, (_, layer) => [`pastK${layer}`, `pastV${layer}`]).flat();
  const cacheShape = [batch, heads, maxPromptTokens + maxNewTokens, width / heads];
  const common: Signature = {
    ...parameterSignature(transformerLayout(config, 'lm')),
    ...Object.fromEntries(cacheNames.map((name) => [name, { shape: cacheShape, dtype: 'float32' as const }])),
    lengths: { shape: [batch], dtype: 'int32' },
    temperature: { shape: [1], dtype: 'float32' },
  };
  const inPlace = Object.fromEntries(cacheNames.map((name) => [presentOf(name), name]));

  const prefill = await engine.compile(
    ({ tokens, lengths, last, temperature, ...rest }) => {
      const ids = tf.reshape(tokens, [batch * maxPromptTokens]);
      const positions = tf.tile(tf.range(0, maxPromptTokens, 1, 'int32'), [batch]);
      const total = tf.tensor1d([maxPromptTokens], 'int32');
      const { hidden, caches } = decode(rest, { ids, positions, lengths, total }, shape); // [B·P, C]
      return {
        probabilities: nextToken(rest, { hidden: tf.gather(hidden, last as tf.Tensor1D), temperature }, config),
        ...caches,
      };
    },
    {
      ...common,
      tokens: { shape: [batch, maxPromptTokens], dtype: 'int32' },
      last: { shape: [batch], dtype: 'int32' },
    },
    { name: 'decoder-prefill', inPlace },
  );
  const step = await engine.compile(
    ({ tokens, lengths, longest, temperature, ...rest }) => {
      const positions = tf.sub(lengths, tf.scalar(1, 'int32'));
      const { hidden, caches } = decode(rest, { ids: tokens, positions, lengths, total: longest }, shape); // [B, C]
      return { probabilities: nextToken(rest, { hidden, temperature }, config), ...caches };
    },
    { ...common, tokens: { shape: [batch], dtype: 'int32' }, longest: { shape: [1], dtype: 'int32' } },
    { name: 'decoder-step', inPlace },
  );
  return { prefill, step, cacheNames };
}

const presentOf = (cacheName: string): string => cacheName.replace('past', 'present');

interface Positions {
  /** Flat token ids and their positions in their sequences, int32 [N]. */
  readonly ids: tf.Tensor;
  readonly positions: tf.Tensor;
  /** As `cachedAttention` takes them. */
  readonly lengths: tf.Tensor;
  readonly total: tf.Tensor;
}

/** The trunk over new positions of every row, N = B·T of them; `inputs` holds the weights and the caches. */
function decode(inputs: Weights, { ids, positions, lengths, total }: Positions, { config, batch }: DecoderShape) {
  const { layers, width } = config;
  const count = ids.shape[0];
  const caches: Record<string, tf.Tensor> = {};
  const attend = (qkv: tf.Tensor, layer: number): tf.Tensor => {
    const [q, k, v] = tf.split(qkv, 3, 1).map((one) => tf.reshape(one, [batch, count / batch, width])); // [B, T, C]
    const [nameK, nameV] = [`pastK${layer}`, `pastV${layer}`];
    const { y, presentK, presentV } = cachedAttention({
      q,
      k,
      v,
      pastK: inputs[nameK],
      pastV: inputs[nameV],
      lengths,
      total,
    });
    caches[presentOf(nameK)] = presentK;
    caches[presentOf(nameV)] = presentV;
    return tf.reshape(y, [count, width]);
  };
  const x = tf.add(
    embedding(inputs['transformer.wte.weight'], ids),
    embedding(inputs['transformer.wpe.weight'], positions),
  ); // [N, C]
  return { hidden: trunk(inputs, { x, layers, attend }), caches };
}

/** hidden [B, C] → [B, V] */
function nextToken(
  weights: Weights,
  { hidden, temperature }: { hidden: tf.Tensor; temperature: tf.Tensor },
  config: TransformerConfig,
): tf.Tensor {
  return tf.softmax(tf.div(lmLogits(weights, hidden, config), temperature), -1);
}
