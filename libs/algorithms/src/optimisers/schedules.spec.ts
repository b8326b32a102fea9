import fc from 'fast-check';
import { constantRate, cosineDecay, linearDecay, warmUp } from './schedules';

describe('schedules', () => {
  it('constant', () => {
    expect([0, 7, 1e6].map(constantRate(3e-4))).toEqual([3e-4, 3e-4, 3e-4]);
  });

  it('linear: hand-worked, and 0 from the end on', () => {
    const schedule = linearDecay({ peak: 8, steps: 4 });
    expect([0, 1, 2, 3, 4, 9].map(schedule)).toEqual([8, 6, 4, 2, 0, 0]);
  });

  it('cosine: hand-worked, and the floor from the end on', () => {
    // cos 0, π/4, π/2, 3π/4, π: 1 + 9 · (1 + cos) / 2
    const schedule = cosineDecay({ peak: 10, floor: 1, steps: 4 });
    [10, 8.681981, 5.5, 2.318019, 1, 1].forEach((rate, step) => expect(schedule(step)).toBeCloseTo(rate, 6));
  });

  it('warm-up: ten iterations from a tenth of the peak, as in InstructGPT', () => {
    const schedule = warmUp({ steps: 10, from: 0.1, then: constantRate(9e-6) });
    // 9e-6 · (0.1 + 0.9 · 5/10) = 9e-6 · 0.55
    expect(schedule(0)).toBeCloseTo(9e-7, 15);
    expect(schedule(5)).toBeCloseTo(4.95e-6, 15);
    expect(schedule(10)).toBe(9e-6);
  });

  it('warm-up: equal rises by default, none from 0', () => {
    const schedule = warmUp({ steps: 3, then: constantRate(8) });
    [2, 4, 6, 8, 8].forEach((rate, step) => expect(schedule(step)).toBeCloseTo(rate, 12));
  });

  it('warm-up of no steps changes nothing', () => {
    const decay = linearDecay({ peak: 1, steps: 5 });
    for (let step = 0; step < 8; step++) expect(warmUp({ steps: 0, then: decay })(step)).toBe(decay(step));
  });

  it('warm-up then cosine: rises to the peak once, then falls to the floor', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 60 }), (warmUpSteps, decaySteps) => {
        const schedule = warmUp({ steps: warmUpSteps, then: cosineDecay({ peak: 1, floor: 0.1, steps: decaySteps }) });
        const rates = Array.from({ length: warmUpSteps + decaySteps + 1 }, (_, step) => schedule(step));
        expect(Math.max(...rates)).toBe(1);
        expect(rates.indexOf(1)).toBe(warmUpSteps);
        rates.forEach((rate, step) => {
          if (step === 0) return;
          if (step <= warmUpSteps) expect(rate).toBeGreaterThan(rates[step - 1]);
          else expect(rate).toBeLessThan(rates[step - 1]);
        });
        expect(rates.at(-1)).toBeCloseTo(0.1, 12);
      }),
    );
  });

  it('refuse to decay over no steps', () => {
    expect(() => linearDecay({ peak: 1, steps: 0 })).toThrow('positive number of steps');
    expect(() => cosineDecay({ peak: 1, floor: 0, steps: -1 })).toThrow(RangeError);
  });
});
