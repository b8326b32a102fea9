import fc from 'fast-check';
import { type CountedWord, learnMerges } from './merges';

const letters = ['a', 'b', 'c', 'd'];
const word = (text: string, count: number): CountedWord => ({
  count,
  symbols: [...text].map((letter) => letters.indexOf(letter)),
});

describe('learnMerges', () => {
  it('learns the merges worked out by hand', () => {
    // ab 5, bc 3, ca 2. Then abc: (ab,c) 3. Then (abc,ab) 2; every pair left occurs once.
    const words = [word('abcab', 2), word('abc', 1)];
    const tokens = [...letters];
    expect(learnMerges(words, tokens, 100)).toEqual([
      ['a', 'b'],
      ['ab', 'c'],
      ['abc', 'ab'],
    ]);
    expect(tokens).toEqual([...letters, 'ab', 'abc', 'abcab']);
    expect(words.map(({ symbols }) => symbols.map((id) => tokens[id]))).toEqual([['abcab'], ['abc']]);
  });

  it('stops at the size of the vocabulary', () => {
    const tokens = [...letters];
    expect(learnMerges([word('abcab', 2)], tokens, 5)).toEqual([['a', 'b']]);
    expect(tokens).toHaveLength(5);
  });

  it('merges overlapping repeats from the left', () => {
    // aaa holds the pair (a,a) twice, 2 × 3 times in all, but only one of the two can be merged.
    const words = [word('aaa', 3)];
    const tokens = [...letters];
    expect(learnMerges(words, tokens, 100)).toEqual([
      ['a', 'a'],
      ['aa', 'a'],
    ]);
  });

  it('breaks ties by the smaller left id, then the smaller right id, whatever the order of the words', () => {
    const corpus = (): CountedWord[] => [word('dc', 2), word('ad', 2), word('ab', 2), word('bc', 2)];
    const expected = [
      ['a', 'b'],
      ['a', 'd'],
      ['b', 'c'],
      ['d', 'c'],
    ];
    expect(learnMerges(corpus(), [...letters], 100)).toEqual(expected);
    expect(learnMerges(corpus().reverse(), [...letters], 100)).toEqual(expected);
  });

  it('equals counting all pairs afresh before every merge', () => {
    const corpus = fc.array(
      fc.record({
        text: fc.string({ unit: fc.constantFrom(...letters), minLength: 1, maxLength: 12 }),
        count: fc.integer({ min: 1, max: 4 }),
      }),
      {
        maxLength: 8,
      },
    );
    fc.assert(
      fc.property(corpus, (entries) => {
        const words = entries.map(({ text, count }) => word(text, count));
        expect(learnMerges(words, [...letters], 20)).toEqual(naiveMerges(entries, 20));
      }),
      { numRuns: 300 },
    );
  });
});

/** The definition, word for word and without any bookkeeping. */
function naiveMerges(entries: readonly { text: string; count: number }[], vocabSize: number): [string, string][] {
  const tokens = [...letters];
  let words = entries.map(({ text, count }) => ({ count, symbols: [...text] }));
  const merges: [string, string][] = [];
  while (tokens.length < vocabSize) {
    const pairs = new Map<string, { pair: [string, string]; count: number }>();
    for (const { symbols, count } of words) {
      for (let i = 0; i + 1 < symbols.length; i++) {
        const key = `${symbols[i]} ${symbols[i + 1]}`;
        const known = pairs.get(key) ?? { pair: [symbols[i], symbols[i + 1]], count: 0 };
        pairs.set(key, { ...known, count: known.count + count });
      }
    }
    const rank = ({ pair }: { pair: [string, string] }): number =>
      tokens.indexOf(pair[0]) * 1000 + tokens.indexOf(pair[1]);
    const [best] = [...pairs.values()]
      .filter(({ count }) => count >= 2)
      .sort((a, b) => b.count - a.count || rank(a) - rank(b));
    if (!best) break;
    const [left, right] = best.pair;
    if (!merges.some(([l, r]) => l === left && r === right)) merges.push(best.pair);
    if (!tokens.includes(left + right)) tokens.push(left + right);
    words = words.map(({ symbols, count }) => {
      const merged: string[] = [];
      for (let i = 0; i < symbols.length; i++) {
        const matches = symbols[i] === left && symbols[i + 1] === right;
        merged.push(matches ? left + right : symbols[i]);
        if (matches) i++;
      }
      return { count, symbols: merged };
    });
  }
  return merges;
}
