import { type DatasetKind, type ErrorBody, PavlovError } from '@pavlov/contracts';
import { asRankedCompletions, parseRow } from './rows';

const parse = (kind: DatasetKind, text: string): unknown => parseRow({ kind, text, line: 37, fileName: 'rows.jsonl' });

function refusal(kind: DatasetKind, row: unknown): ErrorBody {
  try {
    parse(kind, typeof row === 'string' ? row : JSON.stringify(row));
  } catch (error) {
    if (error instanceof PavlovError) return error.body;
    throw error;
  }
  throw new Error('the row was accepted');
}

const user = { role: 'user', content: 'Hi' };
const assistant = { role: 'assistant', content: 'Hello' };

describe('parseRow', () => {
  it.each<[DatasetKind, object]>([
    ['text', { text: 'once' }],
    ['demonstrations', { prompt: 'a', completion: 'b' }],
    ['demonstrations', { messages: [user, assistant] }],
    ['demonstrations', { prompt: 'a', completion: 'b', user: 'ann' }],
    ['demonstrations', { messages: [user, assistant], user: 'ann' }],
    ['prompts', { prompt: 'a' }],
    ['prompts', { prompt: 'a', answer: 'b', category: 'c' }],
    ['rankings', { prompt: 'a', completions: ['b', 'c', 'd'], ranks: [1, 1, 2], labeller: { kind: 'human' } }],
    ['rankings', { prompt: 'a', completions: ['b', 'c'], ranks: [1, 1] }],
    ['rankings', { prompt: 'a', chosen: 'b', rejected: 'c' }],
  ])('accepts %s %j', (kind, row) => {
    expect(parse(kind, JSON.stringify(row))).toEqual(row);
  });

  it('drops unknown fields and puts known ones in order', () => {
    expect(JSON.stringify(parse('demonstrations', '{"id": 7, "completion": "b", "prompt": "a"}'))).toBe(
      '{"prompt":"a","completion":"b"}',
    );
  });

  it.each<[string, DatasetKind, unknown, string | undefined]>([
    ['a row without its prompt', 'prompts', { answer: '7' }, 'prompt'],
    ['an empty text', 'text', { text: '' }, 'text'],
    ['a number for a text', 'text', { text: 3 }, 'text'],
    ['a missing completion', 'demonstrations', { prompt: 'a' }, 'completion'],
    ['a missing prompt', 'demonstrations', { completion: 'a' }, 'prompt'],
    ['a user without a name', 'demonstrations', { prompt: 'a', completion: 'b', user: '' }, 'user'],
    ['an unknown role', 'demonstrations', { messages: [{ role: 'bot', content: 'x' }, assistant] }, 'messages.0.role'],
    [
      'an empty message',
      'demonstrations',
      { messages: [{ role: 'user', content: '' }, assistant] },
      'messages.0.content',
    ],
    ['a conversation of one', 'demonstrations', { messages: [assistant] }, 'messages'],
    ['a conversation that the user ends', 'demonstrations', { messages: [user, user] }, 'messages'],
    ['K = 1', 'rankings', { prompt: 'a', completions: ['b'], ranks: [1] }, 'completions'],
    ['K = 10', 'rankings', { prompt: 'a', completions: Array(10).fill('b'), ranks: Array(10).fill(1) }, 'completions'],
    ['fewer ranks than answers', 'rankings', { prompt: 'a', completions: ['b', 'c'], ranks: [1] }, 'ranks'],
    ['rank 0', 'rankings', { prompt: 'a', completions: ['b', 'c'], ranks: [0, 1] }, 'ranks.0'],
    ['an empty answer', 'rankings', { prompt: 'a', completions: ['b', ''], ranks: [1, 2] }, 'completions.1'],
    ['a pair without its rejected answer', 'rankings', { prompt: 'a', chosen: 'b' }, 'rejected'],
    ['a pair without its prompt', 'rankings', { chosen: 'b', rejected: 'c' }, 'prompt'],
    [
      'an unknown labeller',
      'rankings',
      { prompt: 'a', chosen: 'b', rejected: 'c', labeller: { kind: 'oracle' } },
      'labeller.kind',
    ],
    ['an array', 'prompts', '["a"]', undefined],
    ['null', 'prompts', 'null', undefined],
    ['half an object', 'prompts', '{"prompt": "a"', undefined],
  ])('refuses %s, naming line and field', (...[, kind, row, field]) => {
    const body = refusal(kind, row);
    expect(body).toMatchObject({ code: 'DATASET_INVALID_ROW', line: 37 });
    expect(body.field).toBe(field);
    expect(body.message).toContain('Line 37 of rows.jsonl');
    expect(body.hint).toContain(`kind “${kind}”`);
  });

  it('says what is wrong in words', () => {
    expect(refusal('prompts', {}).message).toBe('Line 37 of rows.jsonl: `prompt` is missing.');
    expect(refusal('prompts', { prompt: '' }).message).toContain('`prompt` is empty');
    expect(refusal('prompts', { prompt: 1 }).message).toContain('`prompt` must be of type string');
    expect(refusal('rankings', { prompt: 'a', completions: ['b'], ranks: [1] }).message).toContain('2 at least');
    expect(refusal('prompts', '{').message).toContain('it is not JSON');
  });

  it('lists every field at fault', () => {
    expect(refusal('rankings', { prompt: '', chosen: 'a', rejected: '' }).issues?.map(({ field }) => field)).toEqual([
      'prompt',
      'rejected',
    ]);
  });
});

describe('asRankedCompletions', () => {
  it('makes a pair a ranking of two', () => {
    const labeller = { kind: 'import' } as const;
    expect(asRankedCompletions({ prompt: 'a', chosen: 'b', rejected: 'c', labeller })).toEqual({
      prompt: 'a',
      completions: ['b', 'c'],
      ranks: [1, 2],
      labeller,
    });
    expect(asRankedCompletions({ prompt: 'a', chosen: 'b', rejected: 'c' })).toEqual({
      prompt: 'a',
      completions: ['b', 'c'],
      ranks: [1, 2],
    });
  });
  it('leaves a ranking as it is', () => {
    const row = { prompt: 'a', completions: ['b', 'c'], ranks: [2, 1] };
    expect(asRankedCompletions(row)).toBe(row);
  });
});
