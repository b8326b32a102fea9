import { openStore, type Store } from '@pavlov/checkpoint-store';
import { loadTokenizer, type Tokenizer, trainByteLevelBpe } from '@pavlov/tokenizer';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publishRows } from '../fixtures/harness';
import { createDatasetRowsReader } from './dataset-rows';

describe('the rows of a dataset', () => {
  let root: string;
  let store: Store;
  let tokenizer: Tokenizer;
  let counted: jest.SpyInstance;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'pavlov-rows-'));
    store = openStore({ root });
    tokenizer = loadTokenizer(trainByteLevelBpe(['aaaa aaaa aaaa bbbb'], { vocabSize: 270 }));
    counted = jest.spyOn(tokenizer, 'encodePrompt');
  });
  beforeEach(() => counted.mockClear());
  afterAll(() => rm(root, { recursive: true, force: true }));

  async function find(texts: readonly string[], options: { room: number; limit?: number }) {
    const id = await publishRows(store, { kind: 'prompts', rows: texts.map((prompt) => ({ prompt })) });
    return createDatasetRowsReader(store).findLong(id, { kind: 'prompts', encoder: tokenizer, ...options });
  }

  it('does not count what has too few bytes to be too long', async () => {
    expect(await find(['x'.repeat(40), 'y'], { room: 100 })).toBeUndefined();
    expect(counted).not.toHaveBeenCalled();
  });

  it('counts what may be too long, and takes no long text of few tokens for one', async () => {
    const text = 'aaaa '.repeat(40);
    expect(await find([text, 'y'], { room: 100 })).toBeUndefined();
    expect(counted.mock.calls.map(([prompt]) => prompt as string)).toEqual([text]);
  });

  it('looks at the longest first', async () => {
    const found = await find(['z'.repeat(110), 'z'.repeat(200), 'z'.repeat(150)], { room: 100 });
    expect(found).toEqual({ line: 2, tokens: tokenizer.encodePrompt('z'.repeat(200)).length });
  });

  it('never overlooks a row, whatever it is written in', async () => {
    const texts = ['日本語の文章', '🙂🙂🙂', 'ünï cödé', '<|endoftext|>', '   ', 'aaaa'];
    for (const text of texts) {
      const tokens = tokenizer.encodePrompt(text).length;
      expect(await find([text], { room: tokens })).toBeUndefined();
      expect(await find([text], { room: tokens - 1 })).toEqual({ line: 1, tokens });
    }
  });

  describe('of which even the shortest is wanted short', () => {
    async function shortest(texts: readonly string[], room: number) {
      const id = await publishRows(store, { kind: 'prompts', rows: texts.map((prompt) => ({ prompt })) });
      return createDatasetRowsReader(store).findShortestIfLong(id, { kind: 'prompts', encoder: tokenizer, room });
    }
    const tokensOf = (text: string) => tokenizer.encodePrompt(text).length;

    it('are fine if one is, and nothing is counted where its bytes tell', async () => {
      counted.mockClear();
      expect(await shortest(['z'.repeat(200), 'y'], 100)).toBeUndefined();
      expect(counted).not.toHaveBeenCalled();
    });

    it('are counted where bytes do not tell: a long text may have few tokens', async () => {
      const [many, few] = ['z'.repeat(60), 'aaaa '.repeat(20)];
      expect(tokensOf(few)).toBeLessThan(tokensOf(many));
      expect(await shortest([many, few], tokensOf(few))).toBeUndefined();
      expect(await shortest([many, few], tokensOf(few) - 1)).toEqual({ line: 2, tokens: tokensOf(few) });
    });
  });

  it('looks only at as many rows as are used', async () => {
    expect(await find(['y', 'z'.repeat(200)], { room: 100, limit: 1 })).toBeUndefined();
  });
});
