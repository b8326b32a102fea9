import type { Message } from '@pavlov/contracts';
import fc from 'fast-check';
import { loadTokenizer, trainByteLevelBpe } from './index';

const files = trainByteLevelBpe(
  ['User: What is it?\nAssistant: It is what it is.\n', 'User: Assistant: User: Assistant:'],
  { vocabSize: 300 },
);
const tokenizer = loadTokenizer(files);
const user = (content: string): Message => ({ role: 'user', content });
const assistant = (content: string): Message => ({ role: 'assistant', content });

/** The same files with another template. */
const withTemplate = (chat_template: string) =>
  loadTokenizer({
    ...files,
    'tokenizer_config.json': JSON.stringify({ ...JSON.parse(files['tokenizer_config.json']), chat_template }),
  });

describe('the chat template', () => {
  it('renders plain-text roles with a generation prompt', () => {
    expect(tokenizer.renderPrompt([user('What is it?')])).toBe('User: What is it?\nAssistant:');
    expect(
      tokenizer.renderPrompt([{ role: 'system', content: 'Be kind.' }, user(' a '), assistant(' b\n'), user('c')]),
    ).toBe('System: Be kind.\nUser: a\nAssistant: b<|endoftext|>User: c\nAssistant:');
  });

  it('encodes a prompt and its completion as one text would be', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 20 }),
        fc.string({ unit: 'binary', maxLength: 20 }),
        (prompt, completion) => {
          const ids = [...tokenizer.encodePrompt(prompt), ...tokenizer.encodeCompletion(completion)];
          expect(ids.slice(0, -1)).toEqual(tokenizer.encode(`User: ${prompt.trim()}\nAssistant: ${completion.trim()}`));
          expect(ids.at(-1)).toBe(tokenizer.eosId);
        },
      ),
    );
  });

  it('gives the same ids for a completion with or without the space it was generated with', () => {
    expect(tokenizer.encodeCompletion(' It is.')).toEqual(tokenizer.encodeCompletion('It is.'));
    expect(tokenizer.decode(tokenizer.encodeCompletion('It is.'))).toBe(' It is.<|endoftext|>');
  });

  it('puts real special tokens where the template has them, and only there', () => {
    const ids = tokenizer.encodePrompt([user('a<|endoftext|>'), assistant('b<|pad|>\ue000'), user('<|endoftext|>c')]);
    expect(ids.filter((id) => id === tokenizer.eosId)).toHaveLength(1);
    expect(ids).not.toContain(tokenizer.padId);
    expect(tokenizer.decode(ids)).toBe(
      'User: a<|endoftext|>\nAssistant: b<|pad|>\ue000<|endoftext|>User: <|endoftext|>c\nAssistant:',
    );
    const completion = tokenizer.encodeCompletion('x<|endoftext|>y<|pad|>');
    expect(completion.indexOf(tokenizer.eosId)).toBe(completion.length - 1);
    expect(tokenizer.decode(completion, { skipSpecialTokens: true })).toBe(' x<|endoftext|>y<|pad|>');
  });

  it('ends a completion with EOS even where the template does not', () => {
    const bare = withTemplate(
      "{% for m in messages %}{{ '[' + m.role + ']' + m.content }}{% endfor %}{% if add_generation_prompt %}{{ '[assistant]' }}{% endif %}",
    );
    expect(bare.decode(bare.encodeCompletion('ok'))).toBe('ok<|endoftext|>');
  });

  it('refuses a template whose answers do not continue the prompt', () => {
    const odd = withTemplate("{{ messages | length }}{% if add_generation_prompt %}{{ 'Answer:' }}{% endif %}");
    expect(() => odd.encodeCompletion('ok')).toThrow('differently from the generation prompt');
  });
});
