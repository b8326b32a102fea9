import { expectAllClose, TOLERANCE } from '../spec-support';
import { updateAverage } from './average';

describe('updateAverage', () => {
  it('gives the hand-worked value', () => {
    // 0.992 · 1 + 0.008 · 2 = 1.008, then 0.992 · 1.008 + 0.008 · 2 = 1.015936
    const average = Float32Array.of(1);
    const parameters = Float32Array.of(2);
    updateAverage({ average, parameters, decay: 0.992 });
    expectAllClose(average, [1.008], TOLERANCE.storedFloat);
    updateAverage({ average, parameters, decay: 0.992 });
    expectAllClose(average, [1.015936], 2 * TOLERANCE.storedFloat);
  });

  it('leaves equal weights exactly equal', () => {
    const weights = Float32Array.of(0.1, -7.3, 1e-20, 3e20);
    const average = weights.slice();
    for (let i = 0; i < 50; i++) updateAverage({ average, parameters: weights, decay: 0.992 });
    expect([...average]).toEqual([...weights]);
  });

  it('refuses another length', () => {
    expect(() => updateAverage({ average: new Float32Array(2), parameters: new Float32Array(3), decay: 0.9 })).toThrow(
      RangeError,
    );
  });
});
