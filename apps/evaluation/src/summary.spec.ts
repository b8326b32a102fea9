import { byCategory, compare, gradeShares, sampleTable } from './summary';

const grade = (correct: boolean, polite: boolean) => ({ correct, polite, utility: 0 });
const grades = [grade(true, true), grade(true, false), grade(false, true), grade(true, true)];

describe('summary', () => {
  it('counts each grade by itself and both together', () => {
    expect(gradeShares(grades)).toEqual({ politeAndCorrect: 0.5, polite: 0.75, correct: 0.75 });
  });

  it('splits by category', () => {
    const prompts = ['a', 'a', 'b', 'b'].map((category) => ({ prompt: 'q', category }));
    expect(byCategory(prompts, grades)).toEqual({
      a: { prompts: 2, politeAndCorrect: 0.5, correct: 1 },
      b: { prompts: 2, politeAndCorrect: 0.5, correct: 0.5 },
    });
  });

  it('compares two policies prompt by prompt; equal texts tie whatever their score', () => {
    const answers = [
      { name: 'ppo', texts: ['a', 'b', 'same', 'c'], rewards: Float32Array.of(1, 2, 9, 0) },
      { name: 'sft', texts: ['x', 'y', 'same', 'z'], rewards: Float32Array.of(0, 3, 1, -1) },
    ];
    expect(compare({ challenger: 'ppo', baseline: 'sft' }, answers)).toMatchObject({
      wins: 2,
      losses: 1,
      ties: 1,
      rate: 0.625,
    });
    expect(compare({ challenger: 'sft', baseline: 'ppo' }, answers)).toMatchObject({
      wins: 1,
      losses: 2,
      ties: 1,
      rate: 0.375,
    });
  });

  it('draws the same samples for the same seed, no prompt twice', () => {
    const prompts = Array.from({ length: 20 }, (_, index) => ({ prompt: `q${index}` }));
    const answers = [{ name: 'sft', texts: prompts.map((_, index) => `a${index}`) }];
    const draw = (seed: number): string[] =>
      sampleTable({ prompts, answers, count: 8, seed }).map(({ prompt }) => prompt);
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(new Set(draw(1)).size).toBe(8);
  });
});
