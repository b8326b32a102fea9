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
 * to them in place; `positions` int32 [B], where each row's last given token stands; and `temperature` [1]. Both give the
 * `probabilities` [B, V] of each row's next token.
 */
export interface Decoder {
  /** Whole prompts, `tokens` int32 [B, P], right-padded. */
  readonly prefill: CompiledFunction;
  /** One more token per row, `tokens` int32 [B]. */
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
    positions: { shape: [batch], dtype: 'int32' },
    temperature: { shape: [1], dtype: 'float32' },
  };
  const inPlace = Object.fromEntries(cacheNames.map((name) => [presentOf(name), name]));
  const one = (): tf.Tensor => tf.scalar(1, 'int32');

  const prefill = await engine.compile(
    ({ tokens, positions, temperature, ...rest }) => {
      const given = {
        ids: tf.reshape(tokens, [batch * maxPromptTokens]),
        positions: tf.tile(tf.range(0, maxPromptTokens, 1, 'int32'), [batch]),
        lengths: tf.add(positions, one()),
        total: tf.tensor1d([maxPromptTokens], 'int32'),
      };
      const { hidden, caches } = decode(rest, given, shape); // [B·P, C]
      const rowStarts = tf.range(0, batch * maxPromptTokens, maxPromptTokens, 'int32');
      const last = tf.gather(hidden, tf.add<tf.Tensor1D>(rowStarts, positions)); // [B, C]
      return { probabilities: nextToken(rest, { hidden: last, temperature }, config), ...caches };
    },
    { ...common, tokens: { shape: [batch, maxPromptTokens], dtype: 'int32' } },
    { name: 'decoder-prefill', inPlace },
  );
  const step = await engine.compile(
    ({ tokens, positions, temperature, ...rest }) => {
      const lengths = tf.add(positions, one());
      const total = tf.max(lengths, 0, true); // [1]
      const { hidden, caches } = decode(rest, { ids: tokens, positions, lengths, total }, shape); // [B, C]
      return { probabilities: nextToken(rest, { hidden, temperature }, config), ...caches };
    },
    { ...common, tokens: { shape: [batch], dtype: 'int32' } },
    { name: 'decoder-step', inPlace },
  );
  return { prefill, step, cacheNames };
}

const presentOf = (cacheName: string): string => cacheName.replace('past', 'present');

interface Given {
  /** Flat token ids and their positions in their sequences, int32 [N]. */
  readonly ids: tf.Tensor;
  readonly positions: tf.Tensor;
  /** As `cachedAttention` takes them. */
  readonly lengths: tf.Tensor;
  readonly total: tf.Tensor;
}

/** The trunk over new positions of every row, N = B·T of them; `inputs` holds the weights and the caches. */
function decode(inputs: Weights, { ids, positions, lengths, total }: Given, { config, batch }: DecoderShape) {
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
