import fc from 'fast-check';
import { adaptiveKl, adaptiveKlOverHorizon, fixedKl } from './kl-controller';

describe('KL controllers', () => {
  it('fixed: β stays', () => {
    expect(fixedKl({ coefficient: 0.02, kl: 1e6 })).toBe(0.02);
  });

  it('adaptive: gives the hand-worked values', () => {
    const controller = adaptiveKl({ target: 6 });
    // KL 6.6: e = 0.1, β · 1.01. KL 5.7: e = −0.05, β · 0.995. On target: unchanged.
    expect(controller({ coefficient: 0.2, kl: 6.6 })).toBeCloseTo(0.202, 12);
    expect(controller({ coefficient: 0.2, kl: 5.7 })).toBeCloseTo(0.199, 12);
    expect(controller({ coefficient: 0.2, kl: 6 })).toBe(0.2);
  });

  it('adaptive: the error is clipped to ±0.2, also for a negative KL', () => {
    const controller = adaptiveKl({ target: 6 });
    expect(controller({ coefficient: 0.1, kl: 600 })).toBeCloseTo(0.102, 12);
    expect(controller({ coefficient: 0.1, kl: 0 })).toBeCloseTo(0.098, 12);
    expect(controller({ coefficient: 0.1, kl: -5 })).toBeCloseTo(0.098, 12);
  });

  it('over a horizon: gives the hand-worked value of the reference code', () => {
    // 512 episodes of a horizon of 10000: gain 0.0512; e = 0.2 clipped: 1 + 0.2 · 0.0512 = 1.01024
    const controller = adaptiveKlOverHorizon({ target: 6, horizon: 10_000, episodes: 512 });
    expect(controller({ coefficient: 0.2, kl: 12 })).toBeCloseTo(0.202048, 12);
  });

  it('settles on the β whose KL is the target', () => {
    // A policy whose KL is 1/β: the target 5 is reached at β = 0.2.
    const controller = adaptiveKl({ target: 5 });
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 3, noNaN: true }), (start) => {
        let coefficient = start;
        for (let i = 0; i < 400; i++) coefficient = controller({ coefficient, kl: 1 / coefficient });
        expect(coefficient).toBeCloseTo(0.2, 6);
      }),
      { numRuns: 20 },
    );
  });

  it('refuses a target of 0 and a KL that is not a number', () => {
    expect(() => adaptiveKl({ target: 0 })).toThrow('must be positive');
    expect(() => adaptiveKl({ target: 6 })({ coefficient: 0.2, kl: NaN })).toThrow('the measured KL is NaN');
  });
});
