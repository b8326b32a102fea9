import { ceilingOf, layOutRankings, type EncodedRanking } from './rankings';

const ranking = (sequences: number[][], ranks: number[], agreementCeiling?: number): EncodedRanking => ({
  prompt: 'q',
  sequences,
  ranks,
  agreementCeiling,
});

describe('layOutRankings', () => {
  it('marks the last real token and leaves absent answers empty', () => {
    const batch = layOutRankings(
      [
        ranking(
          [
            [5, 6, 7],
            [5, 8],
          ],
          [1, 2],
        ),
      ],
      { prompts: 2, answers: 3, columns: 4, padId: 1 },
    );
    expect([...batch.tokens.subarray(0, 12)]).toEqual([5, 6, 7, 1, 5, 8, 1, 1, 1, 1, 1, 1]);
    expect([...batch.last.subarray(0, 12)]).toEqual([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    // One prompt, one pair: its weight is 1, at (prompt 0, winner 0, loser 1).
    expect([...batch.pairWeights]).toEqual([0, 1, 0, 0, 0, 0, 0, 0, 0, ...new Array<number>(9).fill(0)]);
  });
});

describe('ceilingOf', () => {
  it('weighs rankings by their untied pairs', () => {
    // Two untied pairs at 0.9 (ranks 1, 2, 2) and one at 0.6: (2·0.9 + 0.6) / 3 = 0.8.
    const rankings = [
      ranking([[1], [2], [3]], [1, 2, 2], 0.9),
      ranking([[1], [2]], [1, 2], 0.6),
      ranking([[1], [2]], [1, 1], 0.5),
    ];
    expect(ceilingOf(rankings)).toBeCloseTo(0.8, 12);
  });

  it('is unknown when a labeller does not say', () => {
    expect(ceilingOf([ranking([[1], [2]], [1, 2], 0.9), ranking([[1], [2]], [1, 2])])).toBeUndefined();
  });
});
