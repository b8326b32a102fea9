import { createHash } from 'node:crypto';
import { Template } from '@huggingface/jinja';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { type Message, PavlovError } from '@pavlov/contracts';
import { z } from 'zod';
import { wordPattern } from './bytes';
import { createChatTemplate } from './chat';
import type { TokenizerFiles } from './files';

export interface Tokenizer {
  /** Ids are 0 … vocabSize − 1. */
  readonly vocabSize: number;
  readonly eosId: number;
  readonly padId: number;
  /** SHA-256 of tokenizer.json, in hex. */
  readonly fingerprint: string;
  /** Token ids of plain text. Never a special token, even where the text spells one. */
  encode(text: string): number[];
  /** Text of the ids. @throws RangeError on an id outside the vocabulary */
  decode(ids: readonly number[], options?: { readonly skipSpecialTokens?: boolean }): string;
  /** The chat template over the messages, with the generation prompt that asks for an answer. For people to read. */
  renderPrompt(messages: readonly Message[]): string;
  /** Ids of the rendered template for a conversation, or for one user message; an answer is to follow. */
  encodePrompt(prompt: string | readonly Message[]): number[];
  /** Ids of an answer as the template continues a prompt, with EOS at the end. */
  encodeCompletion(text: string): number[];
}

const namedToken = z.union([
  z.string().min(1),
  z.object({ content: z.string().min(1) }).transform((token) => token.content),
]);
const configSchema = z.object({
  eos_token: namedToken,
  pad_token: namedToken,
  bos_token: namedToken.nullish(),
  chat_template: z.string().transform((source, context) => {
    try {
      return new Template(source);
    } catch (error) {
      context.addIssue({ code: 'custom', message: `not a Jinja template: ${(error as Error).message}` });
      return z.NEVER;
    }
  }),
});
const preTokenizerSchema = z.looseObject({ type: z.string() });
const tokenizerSchema = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.int().min(0), content: z.string().min(1), special: z.boolean() })),
  pre_tokenizer: preTokenizerSchema.nullish(),
  model: z.looseObject({ type: z.literal('BPE') }),
});

/**
 * Opens a tokenizer from the files of a Hugging Face model directory.
 *
 * @throws PavlovError CHECKPOINT_CORRUPT when a file is not what it should be
 */
export function loadTokenizer(files: TokenizerFiles): Tokenizer {
  const written = parseFile(files, 'tokenizer.json', tokenizerSchema);
  const definition = { ...written, pre_tokenizer: written.pre_tokenizer && spellOutWords(written.pre_tokenizer) };
  const config = parseFile(files, 'tokenizer_config.json', configSchema);
  const full = new HuggingFaceTokenizer(definition, {});
  // Without added tokens the library has nothing to look for in a text, so "<|endoftext|>" is encoded as plain signs.
  const plain = new HuggingFaceTokenizer({ ...definition, added_tokens: [] }, {});
  const vocabSize = [...full.get_vocab().values()].reduce((largest, id) => Math.max(largest, id), -1) + 1;

  const specialId = (name: 'eos_token' | 'pad_token'): number => {
    const id = definition.added_tokens.find((token) => token.special && token.content === config[name])?.id;
    if (id === undefined)
      throw corrupt('tokenizer.json', `${name} is "${config[name]}", which is not among the special added tokens`);
    return id;
  };
  const eosId = specialId('eos_token');
  const padId = specialId('pad_token');
  if (eosId === padId)
    throw corrupt('tokenizer_config.json', 'pad_token equals eos_token; padding needs a token of its own');

  const encode = (text: string): number[] => (text === '' ? [] : plain.encode(text).ids);
  const chat = createChatTemplate({
    template: config.chat_template,
    variables: {
      eos_token: config.eos_token,
      pad_token: config.pad_token,
      bos_token: config.bos_token ?? config.eos_token,
    },
    specialTokens: definition.added_tokens.filter((token) => token.special),
    encode,
  });

  return {
    vocabSize,
    eosId,
    padId,
    fingerprint: createHash('sha256').update(files['tokenizer.json']).digest('hex'),
    encode,
    decode: (ids, { skipSpecialTokens = false } = {}) => {
      const unknown = ids.find((id) => full.id_to_token(id) === undefined);
      if (unknown !== undefined)
        throw new RangeError(`decode: ${unknown} is not a token id; the vocabulary has ${vocabSize} entries`);
      // The library refuses an empty list.
      return ids.length === 0
        ? ''
        : full.decode([...ids], { skip_special_tokens: skipSpecialTokens, clean_up_tokenization_spaces: false });
    },
    renderPrompt: (messages) => chat.render(messages),
    encodePrompt: (prompt) =>
      chat.encodePrompt(typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt),
    encodeCompletion: (text) => {
      const ids = chat.encodeAnswer(text);
      return ids.at(-1) === eosId ? ids : [...ids, eosId];
    },
  };
}

/**
 * GPT-2's cut into words as a pattern in so many words. By itself the JavaScript library takes \s for white space, which is
 * not what the library in Rust takes; a pattern that it is given it translates rightly.
 */
function spellOutWords(preTokenizer: z.infer<typeof preTokenizerSchema>): z.infer<typeof preTokenizerSchema> {
  if (preTokenizer.type !== 'ByteLevel' || preTokenizer.use_regex === false || preTokenizer.add_prefix_space === true)
    return preTokenizer;
  const split = { type: 'Split', pattern: { Regex: wordPattern().source }, behavior: 'Isolated', invert: false };
  return { type: 'Sequence', pretokenizers: [split, { ...preTokenizer, use_regex: false }] };
}

function parseFile<T>(files: Partial<TokenizerFiles>, name: keyof TokenizerFiles, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(files[name] ?? '');
  } catch (cause) {
    throw corrupt(name, 'it is not JSON', cause);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw corrupt(name, z.prettifyError(parsed.error), parsed.error);
  return parsed.data;
}

function corrupt(file: keyof TokenizerFiles, problem: string, cause?: unknown): PavlovError {
  return new PavlovError(
    {
      code: 'CHECKPOINT_CORRUPT',
      field: file,
      message: `${file} cannot be used: ${problem}.`,
      hint: 'Use the files of a byte-level BPE tokenizer with its own eos_token, pad_token and chat_template.',
    },
    { cause },
  );
}
