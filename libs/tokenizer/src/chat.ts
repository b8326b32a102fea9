import type { Template } from '@huggingface/jinja';
import { type Message, PavlovError } from '@pavlov/contracts';

interface ChatTemplateOptions {
  readonly template: Template;
  /** What the template may refer to, e.g. `eos_token`. */
  readonly variables: Readonly<Record<string, string>>;
  readonly specialTokens: readonly { readonly id: number; readonly content: string }[];
  /** Encodes plain text. */
  readonly encode: (text: string) => number[];
}

interface ChatTemplate {
  render(messages: readonly Message[]): string;
  encodePrompt(messages: readonly Message[]): number[];
  /** The part of the template that continues a generation prompt with an answer. */
  encodeAnswer(text: string): number[];
}

/**
 * A chat template whose encoding cannot be tricked: special tokens come from the template alone, never from what people
 * wrote, while words are still cut across the seams as if the whole text were encoded at once.
 */
export function createChatTemplate({ template, variables, specialTokens, encode }: ChatTemplateOptions): ChatTemplate {
  const render = (messages: readonly Message[], generate: boolean): string =>
    template.render({
      ...variables,
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: generate,
    });
  const idOf = new Map(specialTokens.map(({ content, id }) => [content, id]));
  const special = new RegExp(
    `(${specialTokens.map(({ content }) => content.replace(/[^\w\s]/g, '\\$&')).join('|')})`,
    'g',
  );

  /** Encodes a rendering in which the special tokens that people wrote are broken up by `mark`. */
  const encodeMarked = (text: string, mark: string): number[] =>
    text.split(special).flatMap((piece) => {
      const id = idOf.get(piece);
      return id === undefined ? encode(piece.replaceAll(mark, '')) : [id];
    });
  const breakUp = (content: string, mark: string): string =>
    content.replace(special, (token) => token[0] + mark + token.slice(1));

  return {
    render: (messages) => render(messages, true),
    encodePrompt: (messages) => {
      const mark = unusedCharacter(messages.map((message) => message.content).join());
      const safe = messages.map(({ role, content }) => ({ role, content: breakUp(content, mark) }));
      return encodeMarked(render(safe, true), mark);
    },
    encodeAnswer: (text) => {
      const mark = unusedCharacter(text);
      const question: Message = { role: 'user', content: 'question' };
      const prompt = render([question], true);
      const whole = render([question, { role: 'assistant', content: breakUp(text, mark) }], false);
      if (!whole.startsWith(prompt)) {
        throw new PavlovError({
          code: 'CONFIG_CONFLICT',
          field: 'chat_template',
          message: 'The chat template renders an answer differently from the generation prompt that asks for it.',
          hint: 'Use a template whose rendering with an answer starts with its rendering for the prompt.',
        });
      }
      return encodeMarked(whole.slice(prompt.length), mark);
    },
  };
}

/** A private-use character that the text does not hold. */
function unusedCharacter(text: string): string {
  let code = 0xe000;
  while (text.includes(String.fromCharCode(code))) code++;
  return String.fromCharCode(code);
}
