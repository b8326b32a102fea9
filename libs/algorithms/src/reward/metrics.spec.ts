import { randomStream } from '@pavlov/random';
import fc from 'fast-check';
import { agreement, calibration, noiseCeiling, pairAccuracy, preferenceLoss, preferenceProbability } from './metrics';

describe('preferenceProbability', () => {
  it('is σ of the margin', () => {
    expect(preferenceProbability(0)).toBe(0.5);
    expect(preferenceProbability(Math.log(3))).toBeCloseTo(0.75, 15);
    expect(preferenceProbability(-Math.log(3))).toBeCloseTo(0.25, 15);
    expect(preferenceProbability(1000)).toBe(1);
    expect(preferenceProbability(-1000)).toBe(0);
  });
});

describe('pairAccuracy', () => {
  it('counts right, wrong and undecided', () => {
    // (1 + 1 + 0 + ½) / 4
    expect(pairAccuracy([2, 0.1, -1, 0])).toBe(0.625);
  });

  it('of the scores reversed is one minus it', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1 }), (margins) => {
        expect(pairAccuracy(margins) + pairAccuracy(margins.map((margin) => -margin))).toBeCloseTo(1, 12);
      }),
    );
  });

  it('refuses an empty list', () => {
    expect(() => pairAccuracy([])).toThrow('no comparison');
  });
});

describe('preferenceLoss', () => {
  it('gives the hand-worked mean of −ln σ(margin)', () => {
    // −ln ½ = 0.693147, −ln ¾ = 0.287682, −ln ¼ = 1.386294; their mean is 0.789041.
    expect(preferenceLoss([0, Math.log(3), -Math.log(3)])).toBeCloseTo(0.789041, 6);
  });

  it('stays finite when the model is sure and wrong', () => {
    expect(preferenceLoss([-2000])).toBe(2000);
    expect(preferenceLoss([2000])).toBe(0);
  });
});

describe('agreement', () => {
  it('gives the hand-worked share of agreeing pairs of votes', () => {
    // 3 : 1 makes 6 pairs, of which 3 agree; 2 : 0 makes 1, which agrees; 1 : 0 makes none. 4 / 7.
    const comparisons = [
      { first: 3, second: 1 },
      { first: 0, second: 2 },
      { first: 1, second: 0 },
    ];
    expect(agreement(comparisons)).toBeCloseTo(4 / 7, 12);
  });

  it('is unknown where nothing was asked twice', () => {
    expect(agreement([{ first: 1, second: 0 }])).toBeUndefined();
  });
});

describe('calibration', () => {
  it('gives the hand-worked bins and error', () => {
    // Five bins of width 0.1. Confidence ½ (undecided, counts half): bin 0, accuracy ½.
    // Confidence ¾ twice, once right: bin 2, accuracy ½. Confidence 0.95, right: bin 4, accuracy 1.
    // (1 · 0 + 2 · 0.25 + 1 · 0.05) / 4 = 0.1375
    const { bins, expectedCalibrationError } = calibration({
      margins: [0, Math.log(3), -Math.log(3), Math.log(19)],
      bins: 5,
    });
    expect(bins.map(({ pairs }) => pairs)).toEqual([1, 0, 2, 0, 1]);
    expect(bins.map(({ accuracy }) => accuracy)).toEqual([0.5, 0, 0.5, 0, 1]);
    [0.5, 0, 0.75, 0, 0.95].forEach((confidence, i) => expect(bins[i].confidence).toBeCloseTo(confidence, 12));
    expect(bins.map(({ low, high }) => [low, high])).toEqual([
      [0.5, 0.6],
      [0.6, 0.7],
      [0.7, 0.8],
      [0.8, 0.9],
      [0.9, 1],
    ]);
    expect(expectedCalibrationError).toBeCloseTo(0.1375, 12);
  });

  it('has a place for a confidence of 1', () => {
    const { bins, expectedCalibrationError } = calibration({ margins: [1000, -1000] });
    expect(bins[9]).toMatchObject({ pairs: 2, confidence: 1, accuracy: 0.5 });
    expect(expectedCalibrationError).toBe(0.5);
  });

  it('finds a Bradley–Terry labeller calibrated, and the same scores tripled overconfident', () => {
    const random = randomStream(5, 'calibration');
    const margins = Array.from({ length: 20_000 }, () => {
      const margin = 2 * random.normal();
      return random.uniform() < preferenceProbability(margin) ? margin : -margin;
    });
    expect(calibration({ margins }).expectedCalibrationError).toBeLessThan(0.01);
    expect(calibration({ margins: margins.map((margin) => 3 * margin) }).expectedCalibrationError).toBeGreaterThan(0.1);
  });
});

describe('noiseCeiling', () => {
  it('gives the hand-worked mean of max(p, 1 − p)', () => {
    // (0.9 + 0.8 + 0.5) / 3
    expect(noiseCeiling([0.9, 0.2, 0.5])).toBeCloseTo(2.2 / 3, 12);
  });

  it('is what a judge who knows the utilities reaches against sampled labels', () => {
    const random = randomStream(6, 'ceiling');
    const utilities = Array.from({ length: 20_000 }, () => random.normal());
    const margins = utilities.map((utility) =>
      random.uniform() < preferenceProbability(utility) ? utility : -utility,
    );
    // The standard error of 20 000 coin tosses is 0.0035 at most.
    expect(Math.abs(pairAccuracy(margins) - noiseCeiling(utilities.map(preferenceProbability)))).toBeLessThan(0.01);
  });
});
