import fc from 'fast-check';
import { preferenceMargins, promptsWithPairs, rankingPairWeights, untiedPairs } from './pairs';

const ranks = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 9 });

describe('untiedPairs', () => {
  it('lists the winners and losers, without ties', () => {
    expect(untiedPairs([2, 1, 2])).toEqual([
      { winner: 1, loser: 0 },
      { winner: 1, loser: 2 },
    ]);
    expect(untiedPairs([3, 3])).toEqual([]);
  });

  it('has all C(K, 2) pairs of a ranking without ties', () => {
    for (const k of [2, 4, 9])
      expect(untiedPairs(Array.from({ length: k }, (_, i) => k - i))).toHaveLength((k * (k - 1)) / 2);
  });
});

describe('rankingPairWeights', () => {
  it('gives the hand-worked matrix', () => {
    // Two prompts, K = 3. Prompt 1 has the pairs 0>1, 0>2, 1>2: 1 / (2 · 3) each. Prompt 2 has 1>0: 1 / (2 · 1).
    const sixth = Math.fround(1 / 6);
    expect([
      ...rankingPairWeights({
        rankings: [
          [1, 2, 3],
          [2, 1],
        ],
        maxAnswers: 3,
      }),
    ]).toEqual([...[0, sixth, sixth, 0, 0, sixth, 0, 0, 0], ...[0, 0, 0, 0.5, 0, 0, 0, 0, 0]]);
  });

  it('sums to 1 over a batch, whatever the sizes and ties', () => {
    fc.assert(
      fc.property(fc.array(ranks, { minLength: 1, maxLength: 6 }), (rankings) => {
        fc.pre(promptsWithPairs(rankings) > 0);
        const sum = rankingPairWeights({ rankings, maxAnswers: 9 }).reduce((a, b) => a + b, 0);
        expect(sum).toBeCloseTo(1, 6);
      }),
    );
  });

  it('is all 0 when everything is tied', () => {
    expect([...rankingPairWeights({ rankings: [[1, 1]], maxAnswers: 2 })]).toEqual([0, 0, 0, 0]);
  });

  it('refuses more answers than it has room for', () => {
    expect(() =>
      rankingPairWeights({
        rankings: [
          [1, 2],
          [1, 2, 3],
        ],
        maxAnswers: 2,
      }),
    ).toThrow('ranking 1 has 3 answers');
  });
});

describe('preferenceMargins', () => {
  it('is the score of the winner minus that of the loser', () => {
    const margins = preferenceMargins({
      scores: [
        [0.5, 2, 1],
        [3, 1],
      ],
      rankings: [
        [3, 1, 1],
        [2, 1],
      ],
    });
    // 1 over 0: 1.5; 2 over 0: 0.5; the tie of 1 and 2 is dropped; then 1 over 0: −2.
    expect(margins).toEqual([1.5, 0.5, -2]);
  });

  it('refuses scores that do not match the rankings', () => {
    expect(() => preferenceMargins({ scores: [[1]], rankings: [[1, 2]] })).toThrow('scores (1), ranks (2)');
  });
});
