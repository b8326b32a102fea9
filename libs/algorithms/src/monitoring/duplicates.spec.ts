import fc from 'fast-check';
import { duplicateShare } from './duplicates';

describe('duplicateShare', () => {
  it('counts answers that a different prompt got too', () => {
    expect(
      duplicateShare({
        prompts: [0, 1, 2, 3],
        responses: [
          [1, 2],
          [1, 2],
          [2, 1],
          [1, 2, 3],
        ],
      }),
    ).toBe(0.5);
    expect(duplicateShare({ prompts: [0, 1, 2], responses: [[5], [5], [5]] })).toBe(1);
    expect(duplicateShare({ prompts: [0, 1], responses: [[], []] })).toBe(1);
  });

  it('does not mind one prompt answered twice alike', () => {
    expect(duplicateShare({ prompts: [4, 4], responses: [[1], [1]] })).toBe(0);
    // Once another prompt gets it, all three count.
    expect(duplicateShare({ prompts: [4, 4, 5], responses: [[1], [1], [1]] })).toBe(1);
  });

  it('tells answers apart whose hashes are equal', () => {
    // hash = ((h ⊕ t₀) · p ⊕ t₁) · p: another t₀ can be made up for by t₁.
    const first = (token: number): number => Math.imul(0x811c9dc5 ^ token, 0x01000193);
    const one = [1, 7];
    const other = [2, first(1) ^ 7 ^ first(2)];
    expect(duplicateShare({ prompts: [0, 1], responses: [one, other] })).toBe(0);
    expect(duplicateShare({ prompts: [0, 1, 2, 3], responses: [one, other, one, other] })).toBe(1);
  });

  it('agrees with comparing every pair', () => {
    const row = fc.tuple(fc.nat(3), fc.array(fc.nat(2), { maxLength: 3 }));
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 12 }), (rows) => {
        const prompts = rows.map(([prompt]) => prompt);
        const responses = rows.map(([, response]) => response);
        const shared = rows.filter(([prompt, response]) =>
          rows.some(([p, r]) => p !== prompt && r.join() === response.join()),
        );
        expect(duplicateShare({ prompts, responses })).toBe(shared.length / rows.length);
      }),
    );
  });

  it('refuses lists of different length', () => {
    expect(() => duplicateShare({ prompts: [0], responses: [[1], [2]] })).toThrow('equally long');
  });
});
