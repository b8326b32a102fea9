import { randomStream } from '@pavlov/random';
import { agreementCeiling, simulateRanking } from './simulated-labeller';

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const rank = (utilities: readonly number[], options: { noise: number; tieThreshold: number; index?: number }) =>
  simulateRanking({ utilities, ...options, random: randomStream(5, 'labeller', [options.index ?? 0]) });

/** Four standard errors of a share over n draws: a true value lies outside once in 16 000 tests. */
const margin = (share: number, n: number): number => 4 * Math.sqrt((share * (1 - share)) / n);

describe('simulateRanking', () => {
  it('ranks by utility where noise is negligible, equals tied', () => {
    expect(rank([1, 3, 2, 3], { noise: 1e-9, tieThreshold: 0.5 }).ranks).toEqual([3, 1, 2, 1]);
  });

  it('leaves no rank out', () => {
    for (let index = 0; index < 200; index++) {
      const { ranks } = rank([0, 1, 1.5, 2.5, 0], { noise: 0.5, tieThreshold: 0.7, index });
      expect([...new Set(ranks)].sort()).toEqual(Array.from({ length: Math.max(...ranks) }, (_, i) => i + 1));
    }
  });

  it('follows Bradley and Terry without ties', () => {
    const n = 5_000;
    for (const difference of [0, 0.5, 1.5]) {
      let wins = 0;
      for (let index = 0; index < n; index++) {
        const { ranks } = rank([difference, 0], { noise: 0.5, tieThreshold: 0, index });
        if (ranks[0] === ranks[1]) throw new Error('a tie without a threshold');
        if (ranks[0] === 1) wins++;
      }
      const expected = sigmoid(difference / 0.5);
      expect(Math.abs(wins / n - expected)).toBeLessThan(margin(expected, n));
    }
  });

  it('never ties answers that it perceives as a threshold apart, and always finds the ceiling of its untied pairs', () => {
    const far = rank([100, 0], { noise: 0.5, tieThreshold: 2 });
    expect(far).toEqual({ ranks: [1, 2], agreementCeiling: 1 });
    const tied = rank([1, 1, 1], { noise: 1e-9, tieThreshold: 1 });
    expect(tied).toEqual({ ranks: [1, 1, 1] });
  });

  it('is the same for the same random numbers', () => {
    const options = { noise: 0.5, tieThreshold: 0.2, index: 3 };
    expect(rank([1, 0, 2], options)).toEqual(rank([1, 0, 2], options));
  });

  it('refuses nonsense', () => {
    expect(() => rank([1], { noise: 1, tieThreshold: 0 })).toThrow('two utilities');
    expect(() => rank([1, 2], { noise: 0, tieThreshold: 0 })).toThrow('noise');
    expect(() => rank([1, 2], { noise: 1, tieThreshold: -1 })).toThrow('threshold');
    expect(() => rank([1, 2], { noise: 1, tieThreshold: Number.NaN })).toThrow('threshold');
  });
});

describe('agreementCeiling', () => {
  it('is σ(Δ/T) without ties, a half among equals, and symmetric', () => {
    expect(agreementCeiling({ difference: 1, noise: 0.5, tieThreshold: 0 })).toBeCloseTo(sigmoid(2), 12);
    expect(agreementCeiling({ difference: 0, noise: 0.5, tieThreshold: 0.3 })).toBe(0.5);
    const pair = { noise: 0.5, tieThreshold: 0.3 };
    expect(agreementCeiling({ difference: -1, ...pair })).toBe(agreementCeiling({ difference: 1, ...pair }));
  });

  it('goes over into the tie-free form as the threshold vanishes, and rises with it', () => {
    const pair = { difference: 0.7, noise: 0.5 };
    const bare = agreementCeiling({ ...pair, tieThreshold: 0 });
    expect(agreementCeiling({ ...pair, tieThreshold: 1e-6 })).toBeCloseTo(bare, 6);
    expect(agreementCeiling({ ...pair, tieThreshold: 1 })).toBeGreaterThan(bare);
  });

  it('stays finite for any difference', () => {
    for (const difference of [1e4, 1e-12, 0]) {
      expect(agreementCeiling({ difference, noise: 0.01, tieThreshold: 3 })).toBeGreaterThanOrEqual(0.5);
      expect(agreementCeiling({ difference, noise: 0.01, tieThreshold: 3 })).toBeLessThanOrEqual(1);
    }
  });

  it.each([
    { noise: 0.5, tieThreshold: 0.1 },
    { noise: 0.5, tieThreshold: 1 },
    { noise: 1.2, tieThreshold: 0.6 },
  ])('is what a judge with the true utilities reaches, Monte Carlo, five answers, %j', (options) => {
    const utilities = [2.5, 1.5, 1.5, 1, 0];
    const byPair = new Map<string, { untied: number; agreed: number }>();
    let promised = 0;
    let untiedPairs = 0;
    const rounds = 8_000;
    for (let index = 0; index < rounds; index++) {
      const { ranks, agreementCeiling: ceiling } = rank(utilities, { ...options, index });
      let untied = 0;
      utilities.forEach((first, i) =>
        utilities.forEach((second, j) => {
          if (i >= j || ranks[i] === ranks[j]) return;
          untied++;
          const pair = byPair.get(`${i} ${j}`) ?? { untied: 0, agreed: 0 };
          pair.untied++;
          // Among equals the judge takes the first.
          if (first >= second === ranks[i] < ranks[j]) pair.agreed++;
          byPair.set(`${i} ${j}`, pair);
        }),
      );
      untiedPairs += untied;
      promised += untied * (ceiling ?? 0);
    }
    for (const [key, { untied, agreed }] of byPair) {
      const [i, j] = key.split(' ').map(Number);
      const expected = agreementCeiling({ difference: utilities[i] - utilities[j], ...options });
      expect(Math.abs(agreed / untied - expected)).toBeLessThan(margin(expected, untied));
    }
    // Over all pairs, weighted as a report weights them. Pairs of one ranking depend on each other, so the error is
    // bounded as if there were one pair per ranking.
    const agreed = [...byPair.values()].reduce((sum, pair) => sum + pair.agreed, 0);
    expect(Math.abs(agreed / untiedPairs - promised / untiedPairs)).toBeLessThan(
      margin(promised / untiedPairs, rounds),
    );
  });
});
