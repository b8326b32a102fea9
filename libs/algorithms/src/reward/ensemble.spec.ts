import { ensembleScores } from './ensemble';

describe('ensembleScores', () => {
  it('gives the hand-worked mean less the biased deviation', () => {
    // 1, 3, 5: mean 3, variance (4 + 0 + 4) / 3, deviation 1.632993; 3 − 0.5 · 1.632993 = 2.183503.
    // 2, 2, 2: mean 2, deviation 0.
    const { scores, deviations } = ensembleScores({
      members: [
        [1, 2],
        [3, 2],
        [5, 2],
      ],
      pessimism: 0.5,
    });
    expect(deviations[0]).toBeCloseTo(1.632993, 6);
    expect(scores[0]).toBeCloseTo(2.183503, 6);
    expect([scores[1], deviations[1]]).toEqual([2, 0]);
  });

  it('is the plain score for one member, whatever the pessimism', () => {
    const only = Float32Array.of(0.1, -7, 1e-30);
    expect(ensembleScores({ members: [only], pessimism: 3 })).toEqual({
      scores: only,
      deviations: new Float32Array(3),
    });
  });

  it('refuses members that scored different answers, naming them', () => {
    expect(() => ensembleScores({ members: [[1], [1, 2]], pessimism: 0 })).toThrow('member 1 (1), member 2 (2)');
  });
});
