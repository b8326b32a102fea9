import { type DemonstrationRow, PavlovError } from '@pavlov/contracts';
import { loadTokenizer, trainByteLevelBpe } from '@pavlov/tokenizer';
import { encodeDemonstration, encodeDemonstrations, layOutDemonstrations } from './demonstrations';

const tokenizer = loadTokenizer(
  trainByteLevelBpe(['User: Hello there.\nAssistant: Hi. How are you?'], { vocabSize: 270 }),
);
const row = { prompt: 'Hello', completion: 'Hi.' };

describe('encodeDemonstration', () => {
  it('ends the completion with EOS and gives back the dialogue', () => {
    const { prompt, completion } = encodeDemonstration(row, tokenizer);
    expect(completion.at(-1)).toBe(tokenizer.eosId);
    expect(completion.filter((id) => id === tokenizer.eosId)).toHaveLength(1);
    expect(tokenizer.decode([...prompt, ...completion], { skipSpecialTokens: true })).toBe(
      'User: Hello\nAssistant: Hi.',
    );
  });

  it('takes a conversation of two for the pair that it is', () => {
    const messages = [
      { role: 'user' as const, content: 'Hello' },
      { role: 'assistant' as const, content: 'Hi.' },
    ];
    expect(encodeDemonstration({ messages }, tokenizer)).toEqual(encodeDemonstration(row, tokenizer));
  });

  it('remembers who wrote it', () => {
    expect(encodeDemonstration({ ...row, user: 'ann' }, tokenizer).user).toBe('ann');
  });

  it('learns the last answer of a conversation only', () => {
    const messages = [
      { role: 'user' as const, content: 'Hello' },
      { role: 'assistant' as const, content: 'Hi.' },
      { role: 'user' as const, content: 'How are you?' },
      { role: 'assistant' as const, content: 'there' },
    ];
    const { prompt, completion } = encodeDemonstration({ messages }, tokenizer);
    expect(completion).toEqual(tokenizer.encodeCompletion('there'));
    expect(tokenizer.decode(prompt)).toContain('Hi.');
  });
});

describe('encodeDemonstrations', () => {
  const rows: DemonstrationRow[] = [row, { prompt: 'Hello there. '.repeat(20), completion: 'Hi.' }];

  it('names the row that does not fit the context', () => {
    const { prompt, completion } = encodeDemonstration(rows[1], tokenizer);
    const length = prompt.length + completion.length;
    expect(encodeDemonstrations(rows, { tokenizer, contextLength: length })).toHaveLength(2);
    try {
      encodeDemonstrations(rows, { tokenizer, contextLength: length - 1 });
      throw new Error('it was accepted');
    } catch (error) {
      expect(error).toBeInstanceOf(PavlovError);
      expect((error as PavlovError).body).toMatchObject({ code: 'SEQUENCE_TOO_LONG', line: 2 });
      expect((error as PavlovError).message).toContain(`${length} tokens`);
    }
  });
});

describe('layOutDemonstrations', () => {
  const grid = { rows: 3, columns: 5, padId: 1 };

  it('learns the completions, EOS included, and nothing of prompts, padding or missing rows', () => {
    const { tokens, targets, mask } = layOutDemonstrations(
      [
        { prompt: [10, 11], completion: [20, 0] },
        { prompt: [12], completion: [21, 22, 23, 24, 0] },
      ],
      grid,
    );
    expect([...tokens]).toEqual([10, 11, 20, 1, 1, 12, 21, 22, 23, 24, 1, 1, 1, 1, 1]);
    expect([...targets]).toEqual([11, 20, 0, 1, 1, 21, 22, 23, 24, 0, 1, 1, 1, 1, 1]);
    expect([...mask]).toEqual([0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
  });

  it('refuses what the grid cannot hold', () => {
    const one = { prompt: [1], completion: [0] };
    expect(() => layOutDemonstrations([one, one, one, one], grid)).toThrow('do not fit');
    expect(() => layOutDemonstrations([{ prompt: [1, 2, 3], completion: [4, 5, 6, 0] }], grid)).toThrow('does not fit');
  });
});
