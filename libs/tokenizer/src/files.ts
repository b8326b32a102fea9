/** A tokenizer as the files of a Hugging Face model directory. */
export interface TokenizerFiles {
  readonly 'tokenizer.json': string;
  /** Holds the Jinja `chat_template`. */
  readonly 'tokenizer_config.json': string;
  /** Repeats names that tokenizer_config.json has; newer versions of transformers leave it out. */
  readonly 'special_tokens_map.json'?: string;
}

export interface SpecialTokens {
  /** Ends a document or an answer. */
  readonly eos: string;
  /** Fills batches. Never EOS, never in learned text. */
  readonly pad: string;
}

export const defaultSpecialTokens: SpecialTokens = { eos: '<|endoftext|>', pad: '<|pad|>' };

/**
 * Plain-text roles: `User: {prompt}\nAssistant: {completion}<|endoftext|>`. Contents are trimmed, so that a completion
 * stored with the space it was generated with renders to the same text. The generation prompt stops before the space,
 * because byte-level tokens carry their leading space.
 */
export const chatTemplate = [
  '{%- for message in messages -%}',
  "{%- if message['role'] == 'assistant' -%}",
  "{{- 'Assistant: ' + (message['content'] | trim) + eos_token -}}",
  "{%- elif message['role'] == 'user' -%}",
  "{{- 'User: ' + (message['content'] | trim) + '\\n' -}}",
  '{%- else -%}',
  "{{- 'System: ' + (message['content'] | trim) + '\\n' -}}",
  '{%- endif -%}',
  '{%- endfor -%}',
  "{%- if add_generation_prompt -%}{{- 'Assistant:' -}}{%- endif -%}",
].join('\n');

/** Writes a byte-level BPE vocabulary as Hugging Face files. Token ids are positions in `tokens`. */
export function writeTokenizerFiles(bpe: {
  readonly tokens: readonly string[];
  readonly merges: readonly (readonly [string, string])[];
  readonly specialTokens: SpecialTokens;
}): TokenizerFiles {
  const { eos, pad } = bpe.specialTokens;
  const addedTokens = [eos, pad].map((content) => ({
    id: bpe.tokens.indexOf(content),
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens,
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: byteLevel,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(bpe.tokens.map((token, id) => [token, id])),
      // Pairs as "left right" strings, the form that every version of the library reads; no token holds a space.
      merges: bpe.merges.map((pair) => pair.join(' ')),
    },
  };
  const special = { bos_token: eos, eos_token: eos, pad_token: pad };
  const config = {
    ...special,
    added_tokens_decoder: Object.fromEntries(addedTokens.map(({ id, ...token }) => [String(id), token])),
    chat_template: chatTemplate,
    clean_up_tokenization_spaces: false,
    tokenizer_class: 'PreTrainedTokenizerFast',
  };
  return {
    'tokenizer.json': toJson(tokenizer),
    'tokenizer_config.json': toJson(config),
    'special_tokens_map.json': toJson(special),
  };
}

const toJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
