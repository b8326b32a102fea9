import { createSampler, type SamplerOptions } from './sampler';

const all = { temperature: 1, topK: 0, topP: 1 };
const draws = 4000;

/** How often each id is chosen by evenly spread uniform numbers, as a share. */
function frequencies(weights: readonly number[], options: Omit<SamplerOptions, 'vocabSize'> = all): number[] {
  const pick = createSampler({ ...options, vocabSize: weights.length });
  const counts = weights.map(() => 0);
  for (let i = 0; i < draws; i++) counts[pick(Float32Array.from(weights), 0, (i + 0.5) / draws)]++;
  return counts.map((count) => count / draws);
}

describe('createSampler', () => {
  it('chooses each id as often as its probability says', () => {
    const probabilities = [0.1, 0, 0.25, 0.5, 0.15];
    frequencies(probabilities).forEach((share, id) =>
      expect(Math.abs(share - probabilities[id])).toBeLessThanOrEqual(1 / draws),
    );
  });

  it('reads the row it is asked for, and never an id of probability zero', () => {
    const pick = createSampler({ ...all, vocabSize: 3 });
    const rows = Float32Array.of(1, 0, 0, 0, 0.5, 0.5, 0, 0, 1);
    expect([0, 1, 2].map((row) => pick(rows, row, 0))).toEqual([0, 1, 2]);
    expect([0, 1, 2].map((row) => pick(rows, row, 1 - 2 ** -53))).toEqual([0, 2, 2]);
  });

  it('takes the most probable at temperature 0, the first of equals', () => {
    const pick = createSampler({ temperature: 0, topK: 0, topP: 1, vocabSize: 4 });
    expect(pick(Float32Array.of(0.1, 0.4, 0.1, 0.4), 0, 0.99)).toBe(1);
    expect(pick(Float32Array.of(1, 0, 0, 0, 0.1, 0.2, 0.6, 0.1), 1, 0)).toBe(2);
  });

  it('keeps the k most probable, the first of equals', () => {
    // Kept: 0.4, 0.2 and the first 0.15; their sum is 0.75.
    const shares = frequencies([0.15, 0.4, 0.1, 0.15, 0.2], { ...all, topK: 3 });
    [0.2, 0.4 / 0.75, 0, 0, 0.2 / 0.75].forEach((share, id) => expect(shares[id]).toBeCloseTo(share, 2));
    expect(frequencies([0.5, 0.3, 0.2], { ...all, topK: 99 })[2]).toBeCloseTo(0.2, 2);
  });

  it('keeps the fewest that make up p', () => {
    // 0.5 falls short of 0.7; 0.5 + 0.25 does not.
    const shares = frequencies([0.05, 0.5, 0.2, 0.25], { ...all, topP: 0.7 });
    [0, 2 / 3, 0, 1 / 3].forEach((share, id) => expect(shares[id]).toBeCloseTo(share, 2));
    expect(frequencies([0.4, 0.6], { ...all, topP: 0.01 })).toEqual([0, 1]);
  });

  it('applies p to what k has left', () => {
    // k leaves 0.4 and 0.3; 0.4 / 0.7 is 57 %, which is enough for p = 0.5 though 40 % would not be.
    expect(frequencies([0.4, 0.3, 0.3], { temperature: 1, topK: 2, topP: 0.5 })).toEqual([1, 0, 0]);
  });

  it.each([
    ['greedy', { ...all, temperature: 0 }],
    ['full', all],
    ['top-k', { ...all, topK: 2 }],
  ])('reports a row that is not a distribution: %s', (_, options) => {
    expect(createSampler({ ...options, vocabSize: 3 })(Float32Array.of(NaN, NaN, NaN), 0, 0.5)).toBe(-1);
  });
});
