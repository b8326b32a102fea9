import { expectAllClose, TOLERANCE } from '../spec-support';
import { centreOnDemonstrations, normalise, standardise } from './normalisation';

describe('centreOnDemonstrations', () => {
  it('moves their mean to 0 and keeps every difference', () => {
    const demonstrations = [2, 4, 9];
    const normalisation = centreOnDemonstrations(demonstrations);
    // The mean is 5.
    expect(normalisation).toEqual({ gain: 1, bias: -5 });
    expect([...normalise({ scores: demonstrations, normalisation })]).toEqual([-3, -1, 4]);
    expect([...normalise({ scores: [5], normalisation })]).toEqual([0]);
  });

  it('refuses to average nothing', () => {
    expect(() => centreOnDemonstrations([])).toThrow(RangeError);
  });
});

describe('standardise', () => {
  it('gives the hand-worked gain and bias', () => {
    // Mean 3, biased variance (4 + 0 + 4) / 3; wanted mean 1 and deviation 2.
    // gain 2 / 1.632993 = 1.224745; bias 1 − 1.224745 · 3 = −2.674235
    const { gain, bias } = standardise({ scores: [1, 3, 5], mean: 1, deviation: 2 });
    expectAllClose([gain, bias], [1.224744871, -2.674234614], 1e-9);
  });

  it('gives mean 0 and variance 1 by default', () => {
    const scores = [-7, 0.5, 3, 12];
    const out = normalise({ scores, normalisation: standardise({ scores }) });
    const mean = out.reduce((a, b) => a + b, 0) / 4;
    const variance = out.reduce((sum, value) => sum + (value - mean) ** 2, 0) / 4;
    expectAllClose([mean, variance], [0, 1], TOLERANCE.storedFloat * 4);
  });

  it('refuses scores that are all the same', () => {
    expect(() => standardise({ scores: [2, 2] })).toThrow('every sample has the same score');
  });
});
