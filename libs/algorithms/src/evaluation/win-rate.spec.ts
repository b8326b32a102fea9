import fc from 'fast-check';
import { winRate } from './win-rate';

describe('winRate', () => {
  it('gives the published interval for 8 of 10', () => {
    // z = 1.96, z² = 3.8416: centre (0.8 + 0.19208) / 1.38416 = 0.71674;
    // half 1.96 / 1.38416 · √(0.016 + 0.009604) = 0.22658
    const { rate, low, high, comparisons } = winRate({ wins: 8, losses: 2, ties: 0 });
    expect([rate, comparisons]).toEqual([0.8, 10]);
    expect(low).toBeCloseTo(0.4902, 4);
    expect(high).toBeCloseTo(0.9433, 4);
  });

  it('counts a tie as half a win', () => {
    expect(winRate({ wins: 1, losses: 0, ties: 2 }).rate).toBeCloseTo(2 / 3, 12);
  });

  it('does not collapse when everything is won', () => {
    // At rate 1 the lower end is n / (n + z²) = 20 / 23.8415 = 0.83887
    const { rate, low, high } = winRate({ wins: 20, losses: 0, ties: 0 });
    expect([rate, high]).toEqual([1, 1]);
    expect(low).toBeCloseTo(0.83887, 5);
  });

  it('turns over when the sides change, stays in [0, 1] and holds the rate', () => {
    const count = fc.nat(500);
    fc.assert(
      fc.property(count, count, count, (wins, losses, ties) => {
        fc.pre(wins + losses + ties > 0);
        const ours = winRate({ wins, losses, ties });
        const theirs = winRate({ wins: losses, losses: wins, ties });
        expect(ours.low + theirs.high).toBeCloseTo(1, 12);
        expect(ours.low).toBeGreaterThanOrEqual(0);
        expect(ours.high).toBeLessThanOrEqual(1);
        expect(ours.low).toBeLessThanOrEqual(ours.rate + 1e-12);
        expect(ours.high).toBeGreaterThanOrEqual(ours.rate - 1e-12);
      }),
    );
  });

  it('refuses no comparison at all', () => {
    expect(() => winRate({ wins: 0, losses: 0, ties: 0 })).toThrow('no comparison');
  });
});
