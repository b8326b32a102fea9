import { splitByPrompt } from './material';
import { type EncodedRanking } from './rankings';

const ranking = (prompt: string, ranks: number[]): EncodedRanking => ({
  prompt,
  completions: ranks.map(String),
  sequences: ranks.map((rank) => [rank]),
  ranks,
});
const config = { heldOutFraction: 0.4, seeds: 1 };

describe('splitByPrompt', () => {
  it.each([1, 2, 3, 4])('keeps all rankings of a prompt, of whatever round, on one side (seed %d)', (seed) => {
    const rankings = ['a', 'b', 'c', 'd', 'e', 'a', 'b', 'c', 'd', 'e'].map((prompt) => ranking(prompt, [1, 2]));
    const { training, heldOut } = splitByPrompt(rankings, { config, seed });
    expect([training.length, heldOut.length]).toEqual([6, 4]);
    const learned = new Set(training.map(({ prompt }) => prompt));
    expect(heldOut.some(({ prompt }) => learned.has(prompt))).toBe(false);
  });

  it('leaves out rankings that are one tie, and refuses when all are', () => {
    const tied = ranking('tied', [2, 2]);
    const { training, heldOut } = splitByPrompt([tied, ranking('a', [1, 2]), ranking('b', [1, 1, 2])], {
      config,
      seed: 1,
    });
    expect([...training, ...heldOut].map(({ prompt }) => prompt).sort()).toEqual(['a', 'b']);
    expect(() => splitByPrompt([tied], { config, seed: 1 })).toThrow(
      expect.objectContaining({ code: 'DATASET_EMPTY' }),
    );
  });

  it('refuses to compare several models on nothing', () => {
    const rankings = [ranking('a', [1, 2]), ranking('b', [1, 2])];
    expect(() => splitByPrompt(rankings, { config: { heldOutFraction: 0.1, seeds: 2 }, seed: 1 })).toThrow(
      expect.objectContaining({ body: expect.objectContaining({ code: 'CONFIG_CONFLICT', field: 'heldOutFraction' }) }),
    );
  });
});
