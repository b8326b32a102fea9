import { addition, counting, subtraction } from './categories-numbers';
import { crafts, gardens } from './categories-village';
import { colours, opposites, sounds, young } from './categories-things';
import { dayAfter, dayBefore, monthAfter, monthBefore } from './categories-calendar';

/** One thing that the world knows. */
export interface Fact {
  /** Name of the category. */
  readonly category: string;
  /** What fills the slots of the category's templates, e.g. `{ a: '3', b: '4' }`. */
  readonly slots: Readonly<Record<string, string>>;
  /** The one right answer: a single word. */
  readonly answer: string;
}

/** A kind of fact and the ways to speak about it. Slots are `{x}`, `{a}`, `{b}` and `{answer}`. */
export interface Category {
  readonly name: string;
  /**
   * Turns that each fact takes in a round of the corpus. Facts that combine two things, and those of small categories,
   * whose phrasings are rare, need more of them to be learned.
   */
  readonly turns: number;
  /** Ways to ask, their first letter in lower case. None contains another, so that one can be held out alone. */
  readonly questions: readonly string[];
  /** The sentence that states the fact, its first letter in lower case. The answer is its last word. */
  readonly sentence: string;
  /** Every word that could be an answer. A response that names two of them answers nothing. */
  readonly values: readonly string[];
  /** Words for what the facts are about, where these are not values themselves. */
  readonly subjects: readonly string[];
  /** Facts of the category; `pick` draws the invented ones. */
  facts(pick: (values: readonly string[]) => string): readonly Fact[];
}

export const categories: readonly Category[] = [
  addition,
  subtraction,
  counting,
  dayAfter,
  dayBefore,
  monthAfter,
  monthBefore,
  opposites,
  colours,
  sounds,
  young,
  crafts,
  gardens,
];

const byName = new Map(categories.map((category) => [category.name, category]));

/** The category of that name, or undefined. */
export function categoryNamed(name: string): Category | undefined {
  return byName.get(name);
}

/** A template with its slots filled. */
export function fill(template: string, fact: Fact, answer = fact.answer): string {
  return template.replace(/\{(\w+)\}/g, (_, slot: string) => (slot === 'answer' ? answer : fact.slots[slot]));
}

/** The text with its first letter in upper case. */
export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
