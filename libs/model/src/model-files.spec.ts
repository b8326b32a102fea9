import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEngine, type Engine, parameterSignature } from '@pavlov/tensor';
import { installMatchers, tolerances } from '@pavlov/testing';
import { trainByteLevelBpe } from '@pavlov/tokenizer';
import { hiddenStates, lmLogits } from './forward';
import { loadModelFiles, type ModelFiles, saveModelFiles } from './model-files';
import { readSafetensors, writeSafetensors } from './safetensors';
import { createRewardScorer } from './scorer';
import { shakenParameters, smallConfig } from './spec-support';

installMatchers();

const tokenizerFiles = trainByteLevelBpe(['some text, some text'], { vocabSize: 264 });
const config = { ...smallConfig, vocabSize: 270 };
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

const saved = saveModelFiles({ config, head: 'lm', parameters: shakenParameters(config, 'lm', 1), tokenizerFiles });
const savedReward = saveModelFiles({
  config,
  head: 'scalar',
  parameters: shakenParameters(config, 'scalar', 2),
  tokenizerFiles,
});

/** The files with config.json changed. */
const withConfig = (files: ModelFiles, change: Record<string, unknown>): ModelFiles => ({
  ...files,
  'config.json': bytes({ ...JSON.parse(text(files['config.json'])), ...change }),
});

/** The files with each tensor renamed, or left out where `rename` gives nothing. */
function withTensors(
  files: ModelFiles,
  rename: (name: string) => string | undefined,
  extra: Record<string, number[]> = {},
): ModelFiles {
  const tensors = [...readSafetensors(files['model.safetensors'])].flatMap(([name, { shape, bytes: stored }]) => {
    const renamed = rename(name);
    return renamed === undefined
      ? []
      : [{ name: renamed, shape, data: new Float32Array(Uint8Array.from(stored).buffer) }];
  });
  const extras = Object.entries(extra).map(([name, shape]) => ({
    name,
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
  }));
  return { ...files, 'model.safetensors': writeSafetensors([...tensors, ...extras]) };
}

describe('saveModelFiles', () => {
  it('gives identical bytes again after loading', () => {
    for (const files of [saved, savedReward]) {
      const again = saveModelFiles(loadModelFiles(files));
      expect(Object.keys(again)).toEqual(Object.keys(files));
      for (const [name, content] of Object.entries(files)) expect(Buffer.from(again[name]).equals(content)).toBe(true);
    }
  });

  it('writes what transformers reads for each head', () => {
    expect(JSON.parse(text(saved['config.json']))).toMatchObject({
      architectures: ['GPT2LMHeadModel'],
      model_type: 'gpt2',
      vocab_size: 270,
      n_positions: 16,
      n_embd: 16,
      n_layer: 2,
      n_head: 2,
      activation_function: 'gelu_new',
      layer_norm_epsilon: 1e-5,
      tie_word_embeddings: true,
      eos_token_id: 0,
      pad_token_id: 1,
    });
    expect(JSON.parse(text(savedReward['config.json']))).toMatchObject({
      architectures: ['GPT2ForSequenceClassification'],
      id2label: { 0: 'reward' },
      label2id: { reward: 0 },
      pad_token_id: 1,
    });
    expect(JSON.parse(text(saved['generation_config.json']))).toEqual({
      bos_token_id: 0,
      eos_token_id: 0,
      pad_token_id: 1,
      suppress_tokens: [1],
    });
    expect(Object.keys(savedReward).sort()).toEqual([
      'config.json',
      'model.safetensors',
      'special_tokens_map.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    expect([...readSafetensors(saved['model.safetensors']).keys()]).not.toContain('lm_head.weight');
  });

  it('refuses the tokenizer of another model', () => {
    const parameters = shakenParameters({ ...config, padId: 3 }, 'lm', 1);
    expect(() => saveModelFiles({ config: { ...config, padId: 3 }, head: 'lm', parameters, tokenizerFiles })).toThrow(
      expect.objectContaining({ code: 'TOKENIZER_MISMATCH' }),
    );
    expect(() => loadModelFiles(withConfig(saved, { vocab_size: 100 }))).toThrow(
      expect.objectContaining({ code: 'TOKENIZER_MISMATCH' }),
    );
  });
});

describe('loadModelFiles', () => {
  const parametersOf = (files: ModelFiles): Buffer => {
    const { data } = loadModelFiles(files).parameters;
    return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  };

  it('takes names without the prefix, and ignores mask buffers and the tied output map', () => {
    const bare = withTensors(saved, (name) => name.replace('transformer.', ''), {
      'h.0.attn.bias': [1, 1, 16, 16],
      'h.1.attn.masked_bias': [1],
      'lm_head.weight': [270, 16],
    });
    expect(parametersOf(bare).equals(parametersOf(saved))).toBe(true);
  });

  it('takes the chat template from a file of its own, and keeps it in tokenizer_config.json', () => {
    const { chat_template: template, ...rest } = JSON.parse(text(saved['tokenizer_config.json']));
    const apart = {
      ...saved,
      'tokenizer_config.json': bytes(rest),
      'chat_template.jinja': bytes(`{# own #}${template}`),
    };
    const { tokenizer, tokenizerFiles: files } = loadModelFiles(apart);
    expect(tokenizer.renderPrompt([{ role: 'user', content: 'Hi' }])).toBe('User: Hi\nAssistant:');
    expect(JSON.parse(files['tokenizer_config.json'])).toEqual({ ...rest, chat_template: `{# own #}${template}` });
  });

  it.each<[string, string, () => ModelFiles]>([
    [
      'CHECKPOINT_CORRUPT',
      'config.json is missing',
      () => ({ ...saved, 'config.json': undefined as unknown as Uint8Array }),
    ],
    ['CHECKPOINT_CORRUPT', 'config.json is not JSON', () => ({ ...saved, 'config.json': bytes('{') })],
    [
      'CHECKPOINT_CORRUPT',
      '"transformer.wpe.weight" is missing',
      () => withTensors(saved, (name) => (name.includes('wpe') ? undefined : name)),
    ],
    [
      'CHECKPOINT_CORRUPT',
      'no place for the tensor "transformer.extra"',
      () => withTensors(saved, (name) => name, { 'transformer.extra': [1] }),
    ],
    [
      'CHECKPOINT_CORRUPT',
      'has the shape [16, 16]; config.json asks for [12, 16]',
      () => withConfig(saved, { n_positions: 12 }),
    ],
    ['CHECKPOINT_WRONG_KIND', 'model_type', () => withConfig(saved, { model_type: 'llama' })],
    [
      'CHECKPOINT_WRONG_KIND',
      'the architecture is GPT2Model',
      () => withConfig(saved, { architectures: ['GPT2Model'] }),
    ],
    ['CHECKPOINT_WRONG_KIND', 'activation_function', () => withConfig(saved, { activation_function: 'relu' })],
    ['CHECKPOINT_WRONG_KIND', 'n_inner', () => withConfig(saved, { n_inner: 32 })],
    ['CHECKPOINT_WRONG_KIND', 'tie_word_embeddings', () => withConfig(saved, { tie_word_embeddings: false })],
    ['CHECKPOINT_WRONG_KIND', 'one label', () => withConfig(savedReward, { id2label: { 0: 'a', 1: 'b' } })],
    ['CONFIG_CONFLICT', '3 heads do not divide', () => withConfig(saved, { n_head: 3 })],
  ])('refuses with %s: %s', (code, message, files) => {
    expect(() => loadModelFiles(files())).toThrow(message);
    expect(() => loadModelFiles(files())).toThrow(expect.objectContaining({ code }));
  });
});

/** Directories saved by transformers, and what it computes with them; see fixtures/hugging-face/generate.py. */
describe('a Hugging Face GPT-2 directory', () => {
  const folder = join(__dirname, 'fixtures', 'hugging-face');
  const expected: { sequences: number[][]; lastLogits: number[][]; scores: number[] } = JSON.parse(
    readFileSync(join(folder, 'expected.json'), 'utf8'),
  );
  const open = (name: string) =>
    loadModelFiles({
      ...Object.fromEntries(Object.entries(tokenizerFiles).map(([file, content]) => [file, bytes(content)])),
      'config.json': readFileSync(join(folder, name, 'config.json')),
      'model.safetensors': readFileSync(join(folder, name, 'model.safetensors')),
    });
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ threads: 1 });
  });
  afterAll(() => engine.dispose());

  it('computes the logits that transformers computes, but for PAD', async () => {
    const { config: model, parameters } = open('lm');
    for (const [row, sequence] of expected.sequences.entries()) {
      const compiled = await engine.compile(
        ({ tokens, ...weights }) => ({ logits: lmLogits(weights, hiddenStates(weights, tokens, model), model) }),
        {
          ...parameterSignature(parameters.layout),
          tokens: { shape: [1, sequence.length], dtype: 'int32' },
        },
      );
      const { logits } = await compiled.run({ ...parameters.views, tokens: Int32Array.from(sequence) });
      const last = Array.from(logits.subarray(-model.vocabSize));
      expect(last[model.padId]).toBeLessThan(-1e8);
      expect(last.toSpliced(model.padId, 1)).toBeAllClose(
        expected.lastLogits[row].toSpliced(model.padId, 1),
        tolerances.composed,
      );
    }
  });

  it('computes the rewards that transformers computes', async () => {
    const { config: model, parameters, head } = open('reward');
    expect(head).toBe('scalar');
    const scorer = await createRewardScorer(engine, { config: model, batch: 2, length: 12 });
    expect(await scorer.score({ parameters, sequences: expected.sequences })).toBeAllClose(
      expected.scores,
      tolerances.composed,
    );
  });
});
