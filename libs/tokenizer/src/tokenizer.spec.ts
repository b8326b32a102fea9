import { createHash } from 'node:crypto';
import { PavlovError } from '@pavlov/contracts';
import fc from 'fast-check';
import { byteAlphabet, wordPattern } from './bytes';
import { loadTokenizer, trainByteLevelBpe } from './index';

const corpus = [
  'User: What is the capital of France?\nAssistant: Sure! The capital of France is Paris.',
  "It's sunny, isn't it? They're here, and we'll stay for 3 days or 12 weeks.",
  'naïve café — déjà vu 你好 你好 🙂🙂 the the the capital capital',
];
const files = trainByteLevelBpe(corpus, { vocabSize: 290 });
const tokenizer = loadTokenizer(files);
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: fc.constantFrom(..." \n\t's<|>endoftextpad1é🙂"), maxLength: 60 }),
);

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof PavlovError) return error.code;
    throw error;
  }
  return 'none';
};

describe('trainByteLevelBpe', () => {
  it('writes the bytes and merges of a corpus worked out by hand', () => {
    // Words: "low" ×2, " low" ×1, " lower" ×1. Characters in code order: Ġ (space) is U+0120, after every letter.
    // (l,o) 4 and (o,w) 4 tie: l < o. Then (lo,w) 4, (Ġ,low) 2, and nothing else twice.
    const trained = trainByteLevelBpe(['low low', 'low lower'], { vocabSize: 300 });
    const { model } = JSON.parse(trained['tokenizer.json']);
    expect(model.merges).toEqual(['l o', 'lo w', 'Ġ low']);
    expect(model.vocab['<|endoftext|>']).toBe(0);
    expect(model.vocab['<|pad|>']).toBe(1);
    expect(model.vocab['!']).toBe(2);
    expect([model.vocab.lo, model.vocab.low, model.vocab['Ġlow']]).toEqual([258, 259, 260]);
    expect(Object.keys(model.vocab)).toHaveLength(261);
    const { encode } = loadTokenizer(trained);
    expect(encode('low lower')).toEqual([259, 260, model.vocab.e, model.vocab.r]);
  });

  it('gives the same bytes for the same texts', () => {
    expect(trainByteLevelBpe([...corpus], { vocabSize: 290 })).toEqual(files);
    expect(createHash('sha256').update(files['tokenizer.json']).digest('hex')).toBe(tokenizer.fingerprint);
  });

  it('reaches the size asked for and saves tokens', () => {
    expect(tokenizer.vocabSize).toBe(290);
    expect(tokenizer.encode(corpus[0]).length).toBeLessThan(Buffer.byteLength(corpus[0]) * 0.75);
  });

  it('has the shape of GPT-2’s own tokenizer.json', () => {
    const written = JSON.parse(files['tokenizer.json']);
    expect(Object.keys(written)).toEqual([
      'version',
      'truncation',
      'padding',
      'added_tokens',
      'normalizer',
      'pre_tokenizer',
      'post_processor',
      'decoder',
      'model',
    ]);
    expect(written.added_tokens[0]).toEqual({
      id: 0,
      content: '<|endoftext|>',
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    });
    expect(written.pre_tokenizer).toEqual({
      type: 'ByteLevel',
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: true,
    });
    expect(written.decoder.type).toBe('ByteLevel');
    const { type, vocab, merges } = written.model;
    expect(type).toBe('BPE');
    expect(Object.values<number>(vocab).sort((a, b) => a - b)).toEqual(Array.from({ length: 290 }, (_, id) => id));
    for (const merge of merges as string[]) {
      const [left, right, ...rest] = merge.split(' ');
      expect(rest).toEqual([]);
      expect([vocab[left], vocab[right], vocab[left + right]]).toEqual([
        expect.any(Number),
        expect.any(Number),
        expect.any(Number),
      ]);
    }
    const special = { bos_token: '<|endoftext|>', eos_token: '<|endoftext|>', pad_token: '<|pad|>' };
    expect(JSON.parse(files['special_tokens_map.json'] ?? '')).toEqual(special);
    expect(JSON.parse(files['tokenizer_config.json'])).toMatchObject({
      ...special,
      clean_up_tokenization_spaces: false,
    });
  });

  it('refuses a vocabulary without room for the bytes, special tokens that text could produce, and an empty corpus', () => {
    expect(codeOf(() => trainByteLevelBpe(corpus, { vocabSize: 257 }))).toBe('INVALID_REQUEST');
    expect(codeOf(() => trainByteLevelBpe(corpus, { vocabSize: 300.5 }))).toBe('INVALID_REQUEST');
    expect(
      codeOf(() => trainByteLevelBpe(corpus, { vocabSize: 300, specialTokens: { eos: 'end', pad: '<|pad|>' } })),
    ).toBe('INVALID_REQUEST');
    expect(
      codeOf(() => trainByteLevelBpe(corpus, { vocabSize: 300, specialTokens: { eos: '<|x|>', pad: '<|x|>' } })),
    ).toBe('INVALID_REQUEST');
    expect(codeOf(() => trainByteLevelBpe(['', ''], { vocabSize: 300 }))).toBe('DATASET_EMPTY');
  });
});

describe('byte-level conventions', () => {
  it('uses GPT-2’s byte characters', () => {
    expect(new Set(byteAlphabet).size).toBe(256);
    const of = (byte: number): string => byteAlphabet[byte];
    expect(
      [of(0x21), of(0x7e), of(0xa1), of(0xff), of(0), of(0x0a), of(0x20), of(0x7f), of(0xa0), of(0xad)].join(''),
    ).toBe('!~¡ÿĀĊĠġłŃ');
  });

  it('cuts words without losing a character', () => {
    expect("It's 12 days,  ok?\n".match(wordPattern())).toEqual([
      'It',
      "'s",
      ' 12',
      ' days',
      ',',
      ' ',
      ' ok',
      '?',
      '\n',
    ]);
    fc.assert(fc.property(anyText, (text) => expect((text.match(wordPattern()) ?? []).join('')).toBe(text)));
  });

  it('cuts them at Unicode’s white space, in encoding too', () => {
    // U+0085 is white space, U+FEFF is not; JavaScript's \\s has it the other way round.
    expect('a\u0085#\u0085 #\ufeff#'.match(wordPattern())).toEqual(['a', '\u0085', '#', '\u0085', ' #\ufeff#']);
    const { encode } = loadTokenizer(trainByteLevelBpe([' #\ufeff# #\ufeff#\u0085#\u0085#'], { vocabSize: 300 }));
    expect(encode(' #\ufeff#')).toHaveLength(1);
    expect(encode('\u0085#\u0085#')).toHaveLength(4);
  });
});

describe('encode and decode', () => {
  it('round-trips any Unicode text', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const ids = tokenizer.encode(text);
        expect(tokenizer.decode(ids)).toBe(text);
        expect(ids.every((id) => id > tokenizer.padId && id < tokenizer.vocabSize)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('never makes a special token of plain text', () => {
    const text = 'a<|endoftext|><|pad|><|endoftext|>b';
    const ids = tokenizer.encode(text);
    expect(ids).not.toContain(tokenizer.eosId);
    expect(ids).not.toContain(tokenizer.padId);
    expect(tokenizer.decode(ids)).toBe(text);
  });

  it('shows or skips special tokens', () => {
    const ids = [...tokenizer.encode('Hi'), tokenizer.eosId, tokenizer.padId];
    expect(tokenizer.decode(ids)).toBe('Hi<|endoftext|><|pad|>');
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe('Hi');
    expect(tokenizer.decode([])).toBe('');
    expect(() => tokenizer.decode([290])).toThrow('290 is not a token id');
  });
});

describe('loadTokenizer', () => {
  it('names the file that cannot be used', () => {
    const config = JSON.parse(files['tokenizer_config.json']);
    const open = (tokenizerJson: string, configJson: string) => () =>
      loadTokenizer({ 'tokenizer.json': tokenizerJson, 'tokenizer_config.json': configJson });
    const good = files['tokenizer.json'];
    for (const [run, message] of [
      [open('{', files['tokenizer_config.json']), 'tokenizer.json cannot be used: it is not JSON'],
      [open('{"added_tokens":[],"model":{"type":"Unigram"}}', files['tokenizer_config.json']), 'model.type'],
      [open(good, JSON.stringify({ ...config, pad_token: undefined })), 'pad_token'],
      [open(good, JSON.stringify({ ...config, pad_token: '<|endoftext|>' })), 'padding needs a token of its own'],
      [open(good, JSON.stringify({ ...config, eos_token: '</s>' })), 'eos_token is "</s>"'],
      [open(good, JSON.stringify({ ...config, chat_template: '{% for %}' })), 'not a Jinja template'],
    ] as const) {
      expect(run).toThrow(message);
      expect(codeOf(run)).toBe('CHECKPOINT_CORRUPT');
    }
  });

  it('reads token names written as objects, as older files have them', () => {
    const config = JSON.parse(files['tokenizer_config.json']);
    const older = { ...config, eos_token: { __type: 'AddedToken', content: '<|endoftext|>' } };
    expect(
      loadTokenizer({ 'tokenizer.json': files['tokenizer.json'], 'tokenizer_config.json': JSON.stringify(older) })
        .eosId,
    ).toBe(0);
  });
});
