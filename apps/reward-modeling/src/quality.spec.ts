import { ceilingOf, isBetter, labelAgreement, measureEnsemble, measureQuality } from './quality';
import { type EncodedRanking } from './rankings';

const ranking = (completions: string[], ranks: number[], agreementCeiling?: number): EncodedRanking => ({
  prompt: 'q',
  completions,
  sequences: completions.map((_, index) => [index]),
  ranks,
  agreementCeiling,
});

describe('measureQuality', () => {
  it('reads the scores in the order of the answers, ties dropped', () => {
    const rankings = [ranking(['a', 'b', 'c'], [2, 1, 2]), ranking(['d', 'e'], [1, 2])];
    // Margins: b over a 3 − 1, b over c 3 − 4, d over e 0 − ln 3. One of three is right.
    const quality = measureQuality({ scores: Float32Array.of(1, 3, 4, 0, Math.log(3)), rankings });
    expect(quality).toMatchObject({ pairAccuracy: 1 / 3, heldOutPairs: 3 });
    // (−ln σ(2) − ln σ(−1) − ln ¼) / 3 = (0.126928 + 1.313262 + 1.386294) / 3
    expect(quality?.heldOutLoss).toBeCloseTo(0.942161, 5);
  });

  it('is unknown without a pair', () => {
    expect(measureQuality({ scores: Float32Array.of(1, 2), rankings: [ranking(['a', 'b'], [1, 1])] })).toBeUndefined();
  });
});

describe('isBetter', () => {
  const quality = { pairAccuracy: 0.7, heldOutLoss: 0.5, calibrationError: 0, heldOutPairs: 10 };

  it('goes by accuracy, then by loss; a model is not better than its equal', () => {
    expect(isBetter({ ...quality, pairAccuracy: 0.8, heldOutLoss: 2 }, quality)).toBe(true);
    expect(isBetter({ ...quality, pairAccuracy: 0.6, heldOutLoss: 0 }, quality)).toBe(false);
    expect(isBetter({ ...quality, heldOutLoss: 0.4 }, quality)).toBe(true);
    expect(isBetter(quality, quality)).toBe(false);
  });
});

describe('measureEnsemble', () => {
  it('is right where the members are right on average, and says how often and how far they disagree', () => {
    const rankings = [ranking(['a', 'b'], [1, 2]), ranking(['c', 'd'], [1, 2])];
    const members = [Float32Array.of(3, 0, 1, 0), Float32Array.of(0, 1, 2, 1), Float32Array.of(0, 1, 0, 3)].map(
      (heldOutScores) => ({ heldOutScores }),
    );
    // Means: 1 over ⅔ is right, 1 over 4/3 is wrong. On both pairs one agreement out of three.
    // Deviations of 3 0 0, 0 1 1, 1 2 0 and 0 1 3: √2, √2/3, √(2/3), √(14/9).
    const { pairAccuracy, memberAgreement, memberDeviation } = measureEnsemble({ members, rankings });
    expect(pairAccuracy).toBe(0.5);
    expect(memberAgreement).toBeCloseTo(1 / 3, 12);
    expect(memberDeviation).toBeCloseTo((Math.SQRT2 + Math.SQRT2 / 3 + Math.sqrt(2 / 3) + Math.sqrt(14 / 9)) / 4, 6);
  });
});

describe('labelAgreement', () => {
  it('counts pairs of labels on the same two answers to a prompt', () => {
    const rankings = [
      ranking(['a', 'b', 'c'], [1, 2, 3]),
      ranking(['b', 'a'], [2, 1]), // agrees on a over b
      ranking(['c', 'b'], [1, 2]), // disagrees on b over c
      ranking(['a', 'c'], [1, 1]), // a tie is no vote
      { ...ranking(['a', 'b'], [2, 1]), prompt: 'another' },
    ];
    expect(labelAgreement(rankings)).toBe(0.5);
  });

  it('is unknown where every pair was labelled once, and equal texts are no pair', () => {
    expect(labelAgreement([ranking(['a', 'a', 'b'], [1, 2, 2]), ranking(['a', 'a'], [1, 2])])).toBeUndefined();
  });
});

describe('ceilingOf', () => {
  it('weighs rankings by their untied pairs', () => {
    // Two untied pairs at 0.9 (ranks 1, 2, 2) and one at 0.6: (2·0.9 + 0.6) / 3 = 0.8.
    const rankings = [
      ranking(['a', 'b', 'c'], [1, 2, 2], 0.9),
      ranking(['a', 'b'], [1, 2], 0.6),
      ranking(['a', 'b'], [1, 1], 0.5),
    ];
    expect(ceilingOf(rankings)).toBeCloseTo(0.8, 12);
  });

  it('is unknown when a labeller does not say', () => {
    expect(ceilingOf([ranking(['a', 'b'], [1, 2], 0.9), ranking(['a', 'b'], [1, 2])])).toBeUndefined();
  });
});
