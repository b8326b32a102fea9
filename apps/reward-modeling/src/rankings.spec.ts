import { layOutRankings } from './rankings';

describe('layOutRankings', () => {
  it('marks the last real token and leaves absent answers empty', () => {
    const batch = layOutRankings(
      [
        {
          sequences: [
            [5, 6, 7],
            [5, 8],
          ],
          ranks: [1, 2],
        },
      ],
      { prompts: 2, answers: 3, columns: 4, padId: 1 },
    );
    expect([...batch.tokens.subarray(0, 12)]).toEqual([5, 6, 7, 1, 5, 8, 1, 1, 1, 1, 1, 1]);
    expect([...batch.last.subarray(0, 12)]).toEqual([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    // One prompt, one pair: its weight is 1, at (prompt 0, winner 0, loser 1).
    expect([...batch.pairWeights]).toEqual([0, 1, 0, 0, 0, 0, 0, 0, 0, ...new Array<number>(9).fill(0)]);
  });
});
