import { type Category } from './categories';
import { normalised } from './text';

/**
 * How a response may repeat the question's own values: the category's sentence up to its answer, filled from the prompt.
 * “What is 3 plus 4?” gives “3 plus 4 is”. Undefined if the prompt asks in none of the category's ways. Normalised.
 */
export function restatement(prompt: string, category: Category): string | undefined {
  const slots = category.questions.map((question) => slotsOf(prompt, question)).find((found) => found !== undefined);
  if (slots === undefined) return undefined;
  return normalised(category.sentence.replace(/\{(\w+)\}/g, (_, slot: string) => slots[slot] ?? ''));
}

/** What the prompt has in the question's slots; undefined if it does not end in that question. */
function slotsOf(prompt: string, question: string): Readonly<Record<string, string>> | undefined {
  const pattern = question.replace(/[.?]/g, '\\$&').replace(/\{(\w+)\}/g, '(?<$1>\\w+)');
  return new RegExp(`(?:^|\\s)${pattern}$`, 'i').exec(prompt.trim())?.groups;
}
