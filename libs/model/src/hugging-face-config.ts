import { PavlovError } from '@pavlov/contracts';
import { z } from 'zod';
import { type Head, layerNormEpsilon, type TransformerConfig } from './config';

/** Hugging Face's class for each head. */
const architectures = { lm: 'GPT2LMHeadModel', scalar: 'GPT2ForSequenceClassification' } as const satisfies Record<
  Head,
  string
>;

/** config.json of a GPT-2 model directory. `eosId` also stands for BOS, as in GPT-2. */
export function writeConfigJson({
  config,
  head,
  eosId,
}: {
  config: TransformerConfig;
  head: Head;
  eosId: number;
}): string {
  return toJson({
    architectures: [architectures[head]],
    model_type: 'gpt2',
    vocab_size: config.vocabSize,
    n_positions: config.contextLength,
    n_embd: config.width,
    n_layer: config.layers,
    n_head: config.heads,
    n_inner: null,
    activation_function: 'gelu_new',
    layer_norm_epsilon: layerNormEpsilon,
    initializer_range: 0.02,
    attn_pdrop: 0,
    embd_pdrop: 0,
    resid_pdrop: 0,
    scale_attn_weights: true,
    scale_attn_by_inverse_layer_idx: false,
    reorder_and_upcast_attn: false,
    tie_word_embeddings: true,
    use_cache: true,
    bos_token_id: eosId,
    eos_token_id: eosId,
    pad_token_id: config.padId,
    dtype: 'float32',
    torch_dtype: 'float32',
    // The number of labels is the length of this map.
    ...(head === 'scalar' ? { id2label: { 0: 'reward' }, label2id: { reward: 0 } } : {}),
  });
}

/** generation_config.json: makes `generate()` of transformers leave PAD out too. */
export function writeGenerationConfigJson({ config, eosId }: { config: TransformerConfig; eosId: number }): string {
  return toJson({
    bos_token_id: eosId,
    eos_token_id: eosId,
    pad_token_id: config.padId,
    suppress_tokens: [config.padId],
  });
}

const size = z.int().positive();
const gpt2Schema = z
  .looseObject({
    model_type: z.literal('gpt2'),
    architectures: z.array(z.string()).min(1),
    vocab_size: size,
    n_positions: size,
    n_embd: size,
    n_layer: size,
    n_head: size,
    n_inner: size.nullish(),
    activation_function: z.enum(['gelu_new', 'gelu_pytorch_tanh']).default('gelu_new'),
    layer_norm_epsilon: z.literal(layerNormEpsilon).default(layerNormEpsilon),
    scale_attn_weights: z.literal(true).default(true),
    scale_attn_by_inverse_layer_idx: z.literal(false).default(false),
    add_cross_attention: z.literal(false).default(false),
    tie_word_embeddings: z.literal(true).default(true),
    num_labels: z.literal(1).optional(),
    id2label: z.record(z.string(), z.string()).optional(),
  })
  .refine((config) => (config.n_inner ?? 4 * config.n_embd) === 4 * config.n_embd, {
    path: ['n_inner'],
    message: 'must be 4 × n_embd',
  });

/**
 * Reads the config.json of a GPT-2 model; `padId` comes from its tokenizer.
 *
 * @throws PavlovError CHECKPOINT_CORRUPT when it is not JSON, CHECKPOINT_WRONG_KIND when it is another kind of model
 */
export function readConfigJson(json: string, padId: number): { config: TransformerConfig; head: Head } {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new PavlovError(
      {
        code: 'CHECKPOINT_CORRUPT',
        field: 'config.json',
        message: 'config.json is not JSON.',
        hint: 'Fetch or write it again.',
      },
      { cause },
    );
  }
  const parsed = gpt2Schema.safeParse(value);
  if (!parsed.success) throw wrongKind(z.prettifyError(parsed.error));
  const {
    architectures: [architecture],
    vocab_size: vocabSize,
    n_positions: contextLength,
    n_layer: layers,
    n_head: heads,
    n_embd: width,
    ...rest
  } = parsed.data;
  const head = (Object.keys(architectures) as Head[]).find((one) => architectures[one] === architecture);
  if (!head)
    throw wrongKind(`the architecture is ${architecture}; ${Object.values(architectures).join(' and ')} are known`);
  const labels = rest.num_labels ?? Object.keys(rest.id2label ?? {}).length;
  if (head === 'scalar' && labels !== 1)
    throw wrongKind(`a reward model has one label, this one has ${labels || 'two by default'}`);
  return { head, config: { vocabSize, contextLength, layers, heads, width, padId } };
}

function wrongKind(problem: string): PavlovError {
  return new PavlovError({
    code: 'CHECKPOINT_WRONG_KIND',
    field: 'config.json',
    message: `config.json describes a model that cannot be run here: ${problem}.`,
    hint: 'Use a model of GPT-2’s own architecture.',
  });
}

const toJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
