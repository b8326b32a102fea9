import {
  embedding,
  entropy,
  exclusion,
  gelu,
  layerNorm,
  linear,
  linearEntropy,
  linearLogprobs,
  recomputed,
  selfAttention,
  tf,
  tokenLogprobs,
} from '@pavlov/tensor';
import { layerNormEpsilon, type TransformerConfig } from './config';
import { blockName } from './layout';

/** Parameters by name, as tensors. */
export type Weights = Readonly<Record<string, tf.Tensor>>;

/**
 * The trunk of GPT-2 over B sequences of T tokens, tokens int32 [B, T] → [B·T, C]. Sequences are right-padded: attention
 * looks back only, so padding never reaches a real token, no mask is needed, and positions are 0 … T − 1.
 */
export function hiddenStates(weights: Weights, tokens: tf.Tensor, config: TransformerConfig): tf.Tensor {
  return hiddenStatesForTraining(weights, { tokens }, config);
}

/** A pass that gradients are taken of. */
export interface TrainingPass {
  /** int32 [B, T] */
  readonly tokens: tf.Tensor;
  /**
   * For residual dropout, in fine-tuning only: masks [2L + 1, B·T, C] multiply, where GPT-2 drops, the embedded tokens, then what
   * the attention and what the MLP of each layer add to the residual stream.
   */
  readonly masks?: tf.Tensor;
  /**
   * Of which of the B·T states something is to be known, int32 [M], each once; of all by default. Nothing that comes after the last
   * attention is computed for others.
   */
  readonly states?: tf.Tensor;
  /** Whether the gradient keeps only the input of each block, and computes the block again. False by default. */
  readonly activationCheckpointing?: boolean;
}

/** The same with what only training has; → [M, C], where there are `states`. */
export function hiddenStatesForTraining(
  weights: Weights,
  { tokens, masks, states, activationCheckpointing }: TrainingPass,
  config: TransformerConfig,
): tf.Tensor {
  const [batch, length] = tokens.shape;
  const { layers, heads, width, contextLength } = config;
  const table = weights['transformer.wpe.weight'];
  const positions = length === contextLength ? table : tf.slice(table, [0, 0], [length, width]); // [T, C]
  const embedded = embedding(weights['transformer.wte.weight'], tf.reshape(tokens, [batch * length])); // [B·T, C]
  const x = tf.reshape(tf.add(tf.reshape(embedded, [batch, length, width]), positions), [batch * length, width]);

  const attend = (qkv: tf.Tensor): tf.Tensor => selfAttention({ qkv, heads, length }); // [B·T, C]
  const [first, ...blockMasks] = masks ? tf.unstack(masks) : []; // (2L + 1) × [B·T, C]
  return trunk(weights, {
    x: drop(x, first),
    layers,
    attend,
    masks: masks && blockMasks,
    states,
    activationCheckpointing,
  });
}

/** What a mask lets through, [N, C]: all, where there is none. */
const drop = (x: tf.Tensor, mask: tf.Tensor | undefined): tf.Tensor => (mask ? tf.mul(x, mask) : x);

/** Attention of one layer between its input and output projections: [N, 3C] → [N, C]. */
type Attend = (qkv: tf.Tensor, layer: number) => tf.Tensor;

interface TrunkInput extends Pick<TrainingPass, 'states' | 'activationCheckpointing'> {
  /** Embedded tokens, [N, C]. */
  readonly x: tf.Tensor;
  readonly layers: number;
  readonly attend: Attend;
  /** Of dropout, two for each block. */
  readonly masks?: readonly tf.Tensor[];
}

/** The blocks and the last normalisation → [N, C], or [M, C]. */
function trunk(weights: Weights, { x, layers, attend, masks, states, activationCheckpointing }: TrunkInput): tf.Tensor {
  let residual = x;
  for (let layer = 0; layer < layers; layer++) {
    const constants = {
      ...(masks && { attentionMask: masks[2 * layer], mlpMask: masks[2 * layer + 1] }),
      ...(states && layer === layers - 1 && { states }),
    };
    const input = { x: residual, weights, constants };
    const compute = (given: BlockInput): tf.Tensor => block(given, { layer, attend });
    residual = activationCheckpointing
      ? recomputed({ ...input, weights: weightsOf(weights, layer) }, compute)
      : compute(input);
  }
  return norm(weights, 'transformer.ln_f', residual);
}

interface BlockInput {
  /** [N, C] */
  readonly x: tf.Tensor;
  readonly weights: Weights;
  readonly constants: { readonly attentionMask?: tf.Tensor; readonly mlpMask?: tf.Tensor; readonly states?: tf.Tensor };
}

/** Attention and MLP, each added to the residual stream: [N, C] → [N, C], or of M states [M, C]. */
function block(
  { x, weights, constants: { attentionMask, mlpMask, states } }: BlockInput,
  { layer, attend }: { layer: number; attend: Attend },
): tf.Tensor {
  const name = (part: string): string => blockName(layer, part);
  const pick = (all: tf.Tensor): tf.Tensor => (states ? embedding(all, states) : all); // whose gradient is deterministic
  const normed = norm(weights, name('ln_1'), x);
  const attended = pick(attend(project(weights, name('attn.c_attn'), normed), layer)); // [N, C]
  const projected = project(weights, name('attn.c_proj'), attended);
  const residual = tf.add(pick(x), drop(projected, attentionMask && pick(attentionMask)));
  const wide = gelu(project(weights, name('mlp.c_fc'), norm(weights, name('ln_2'), residual))); // [N, 4C]
  return tf.add(residual, drop(project(weights, name('mlp.c_proj'), wide), mlpMask && pick(mlpMask)));
}

const weightsOf = (weights: Weights, layer: number): Weights =>
  Object.fromEntries(Object.entries(weights).filter(([name]) => name.startsWith(blockName(layer, ''))));

/** What the next token is, by the policy. */
export interface NextToken {
  /** log p of each target, int32 [N] → [N], in nats. */
  logprobs(targets: tf.Tensor): tf.Tensor;
  /** [N], in nats. */
  entropies(): tf.Tensor;
}

export interface NextTokenInput {
  /** [N, C] */
  readonly hidden: tf.Tensor;
  /** Divides the logits: a number, or a tensor of one; 1 by default. */
  readonly temperature?: number | tf.Tensor;
  /** Whether all logits are there at once, for a gradient that comes soon; else a part of them at a time, where they are many. */
  readonly keepsLogits?: boolean;
}

/**
 * The distribution of the next token after each of hidden [N, C]. Every log-prob that is scored or trained on starts here, and
 * sampling from `lmLogits`; PAD's probability is exactly zero in both.
 */
export function nextToken(
  weights: Weights,
  { hidden, temperature, keepsLogits }: NextTokenInput,
  config: TransformerConfig,
): NextToken {
  const options = { temperature, excluded: config.padId };
  if (!keepsLogits) {
    const input = { x: hidden, table: weights['transformer.wte.weight'], options };
    return {
      logprobs: (targets) => linearLogprobs({ ...input, targets }),
      entropies: () => linearEntropy(input),
    };
  }
  const logits = bareLogits(weights, hidden); // [N, V]
  return {
    logprobs: (targets) => tokenLogprobs(logits, targets, options),
    entropies: () => entropy(logits, options),
  };
}

/** Next-token logits: hidden [N, C] → [N, V]. PAD gets a logit so low that its probability is exactly zero. */
export function lmLogits(weights: Weights, hidden: tf.Tensor, config: TransformerConfig): tf.Tensor {
  return tf.add(bareLogits(weights, hidden), padMask(config));
}

/** With tied embeddings: hidden [N, C] → [N, V]. */
const bareLogits = (weights: Weights, hidden: tf.Tensor): tf.Tensor =>
  tf.matMul(hidden, weights['transformer.wte.weight'], false, true);

/** What is added to logits: [V], zero but for PAD. */
export const padMask = ({ vocabSize, padId }: TransformerConfig): tf.Tensor => exclusion(vocabSize, padId);

/** One number per token: hidden [N, C] → [N]. A reward is read at the last real token of its sequence. */
export function scalarScores(weights: Weights, hidden: tf.Tensor): tf.Tensor {
  return tf.reshape(tf.matMul(hidden, weights['score.weight'], false, true), [hidden.shape[0]]);
}

function norm(weights: Weights, name: string, x: tf.Tensor): tf.Tensor {
  return layerNorm(x, weights[`${name}.weight`], weights[`${name}.bias`], layerNormEpsilon);
}

function project(weights: Weights, name: string, x: tf.Tensor): tf.Tensor {
  return linear({ x, w: weights[`${name}.weight`], b: weights[`${name}.bias`] });
}
