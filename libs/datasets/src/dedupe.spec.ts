import { type DemonstrationRow } from '@pavlov/contracts';
import { createPrefixFilter, distinctBy } from './dedupe';

describe('distinctBy', () => {
  it('keeps the first of each key', () => {
    expect(distinctBy(['Hi!', 'hi', 'Ho'], (text) => text.toLowerCase().replace('!', ''))).toEqual(['Hi!', 'Ho']);
  });
});

describe('createPrefixFilter', () => {
  it('finds prompts that begin as an earlier one does, and short ones that are equal', () => {
    const isRepeat = createPrefixFilter('prompts', 8);
    const prompts = ['Tell me a story', 'Tell me', 'Tell me another', 'Tell me', 'Tell him', 'tell me a story'];
    expect(prompts.map((prompt) => isRepeat({ prompt }))).toEqual([false, false, true, true, false, false]);
  });

  it('goes by what the user asked, not by the system message or the answer', () => {
    const isRepeat = createPrefixFilter('demonstrations', 20);
    const conversation = (asked: string, ...more: DemonstrationRow[]): DemonstrationRow[] => [
      {
        messages: [
          { role: 'system', content: 'You are a helpful assistant.' },
          { role: 'user', content: asked },
          { role: 'assistant', content: `About ${asked}` },
        ],
      },
      ...more,
    ];
    const rows = [
      ...conversation('What is the colour of grass?'),
      ...conversation('Why?', { prompt: 'What is the colour of the sky?', completion: 'Blue.' }),
      { prompt: 'Why?', completion: 'So.' },
    ];
    expect(rows.map(isRepeat)).toEqual([false, false, true, true]);
  });

  it('goes by the system message where there is nothing else', () => {
    const isRepeat = createPrefixFilter('demonstrations', 20);
    const rows = ['Greet.', 'Say goodbye.', 'Greet.'].map((content): DemonstrationRow => ({
      messages: [
        { role: 'system', content },
        { role: 'assistant', content: 'Well.' },
      ],
    }));
    expect(rows.map(isRepeat)).toEqual([false, false, true]);
  });

  it.each(['text', 'rankings'] as const)('refuses %s', (kind) => {
    expect(() => createPrefixFilter(kind, 8)).toThrow(expect.objectContaining({ code: 'CONFIG_CONFLICT' }));
  });
});
