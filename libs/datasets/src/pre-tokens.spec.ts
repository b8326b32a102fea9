import { loadTokenizer, trainByteLevelBpe } from '@pavlov/tokenizer';
import fc from 'fast-check';
import { minimumTokens } from './pre-tokens';

describe('minimumTokens', () => {
  it.each([
    ['', 0],
    ['   ', 0],
    ['Hello world', 2],
    ["It's 42.", 4],
    ['a  b', 3],
    ['one\n\ntwo', 4],
    ['日本 語', 2],
  ])('counts the pre-tokens of %j: %i', (text, count) => {
    expect(minimumTokens(text)).toBe(count);
  });

  it('is never more than a tokenizer makes of the text', () => {
    // Trained until whole words are tokens, so that the bound is as tight as it can be.
    const texts = ["the cat sat on the mat. It’s 12 o’clock, isn't it? ".repeat(20)];
    const tokenizer = loadTokenizer(trainByteLevelBpe(texts, { vocabSize: 400 }));
    expect(tokenizer.encode('the cat sat')).toHaveLength(minimumTokens('the cat sat'));
    const word = fc.constantFrom('the', 'cat', ' ', '\n', '  ', '12', "it's", '.', ', ', 'ß', '猫', 'mat');
    fc.assert(
      fc.property(fc.array(word), (parts) => {
        const text = parts.join('');
        expect(tokenizer.encode(text).length).toBeGreaterThanOrEqual(minimumTokens(text));
      }),
    );
  });
});
