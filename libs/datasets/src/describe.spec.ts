import { createHash } from 'node:crypto';
import { describeRows, serialiseRows } from './describe';

describe('describeRows', () => {
  it('counts rows and bytes and hashes them as they are stored', () => {
    const rows = [{ text: 'grüß' }, { text: 'one two three' }];
    const stored = serialiseRows(rows);
    expect(stored).toBe('{"text":"grüß"}\n{"text":"one two three"}\n');
    expect(describeRows('text', rows)).toEqual({
      rows: 2,
      bytes: Buffer.byteLength(stored),
      sha256: createHash('sha256').update(stored).digest('hex'),
      statistics: { duplicates: 0, minimumTokens: 6, longestRow: 2, longestRowMinimumTokens: 4 },
    });
  });

  it('counts rows that repeat an earlier one', () => {
    const row = { prompt: 'a' };
    expect(describeRows('prompts', [row, { prompt: 'b' }, { prompt: 'a' }, row]).statistics.duplicates).toBe(2);
  });

  it('counts conversations and answer keys', () => {
    const messages = [
      { role: 'user' as const, content: 'Hello there' },
      { role: 'assistant' as const, content: 'Hi' },
    ];
    expect(describeRows('demonstrations', [{ messages }, { prompt: 'a', completion: 'b' }]).statistics).toMatchObject({
      conversations: 1,
      longestRow: 1,
      longestRowMinimumTokens: 4,
    });
    expect(describeRows('prompts', [{ prompt: 'a', answer: 'b' }, { prompt: 'c' }]).statistics.answers).toBe(1);
  });

  it('counts sizes, pairs and ties of rankings', () => {
    const { statistics } = describeRows('rankings', [
      { prompt: 'a', completions: ['x', 'y y', 'z', 'u'], ranks: [1, 1, 2, 2] },
      { prompt: 'a', completions: ['x', 'y'], ranks: [1, 1] },
      { prompt: 'a', chosen: 'x', rejected: 'y' },
    ]);
    expect(statistics).toEqual({
      duplicates: 0,
      minimumTokens: 4 + 3 + 3,
      longestRow: 1,
      longestRowMinimumTokens: 4,
      pairs: 6 + 1 + 1,
      tiedPairs: 2 + 1,
      allTied: 1,
      rankingsOf2: 2,
      rankingsOf4: 1,
    });
  });

  it('describes nothing as nothing', () => {
    expect(describeRows('prompts', [])).toMatchObject({ rows: 0, bytes: 0, statistics: { duplicates: 0, answers: 0 } });
  });
});
