import { type RandomStream } from '@pavlov/random';
import { capitalised, type Category, type Fact, fill } from './categories';

/** A fact with its category. */
export interface Known {
  readonly fact: Fact;
  readonly category: Category;
}

/** A fact, asked in one of its category's phrasings. */
export interface Question extends Known {
  /** Place of the phrasing in the category's questions. */
  readonly phrasing: number;
}

/** Questions about each fact, one list per fact. */
export type QuestionsByFact = readonly (readonly Question[])[];

/** What may stand before a question. */
export const openings = [
  '',
  'Hello! ',
  'Hi there. ',
  'Good morning. ',
  'Dear friend, ',
  'Excuse me, ',
  'Quick question: ',
  'One more thing: ',
];

/** Phrasings of each fact that are never held out, so that the fact stays within reach. */
const keptPhrasings = 3;

/** The question as text, after an opening. */
export function ask({ fact, category, phrasing }: Question, opening: string): string {
  const question = fill(category.questions[phrasing], fact);
  return opening === '' || /[.!?] $/.test(opening) ? opening + capitalised(question) : opening + question;
}

/** Items without an end. */
export type Deal<T> = Generator<T, never>;

/** Deals the items, shuffled, round after round: each comes once before any comes again. */
export function* deal<T>(items: readonly T[], random: RandomStream): Deal<T> {
  for (;;) yield* random.shuffle(items);
}

/**
 * Parts all questions in two: `count` held out, the rest open. Facts take turns in giving a question up, and so do the
 * phrasings of a category, so that no fact and no phrasing loses more than its share.
 *
 * @throws RangeError if `count` questions cannot be held out.
 */
export function holdOut({ known, count, random }: { known: readonly Known[]; count: number; random: RandomStream }): {
  heldOut: QuestionsByFact;
  open: QuestionsByFact;
} {
  const most = known.reduce((sum, { category }) => sum + category.questions.length - keptPhrasings, 0);
  if (count > most) throw new RangeError(`buildDemoWorld: ${count} test prompts, but only ${most} can be held out`);

  const categories = [...new Set(known.map(({ category }) => category))];
  const phrasings = new Map(categories.map((category) => [category, deal([...category.questions.keys()], random)]));
  const taken = known.map(() => new Set<number>());
  const turns = random.shuffle([...known.keys()]);
  for (let left = count, turn = 0; left > 0; turn++) {
    const fact = turns[turn % turns.length];
    const { category } = known[fact];
    if (taken[fact].size === category.questions.length - keptPhrasings) continue;
    const before = taken[fact].size;
    // A deal may offer what the fact has given up already.
    while (taken[fact].size === before) taken[fact].add(phrasings.get(category)!.next().value);
    left--;
  }
  const questions = (fact: number, held: boolean): Question[] =>
    [...known[fact].category.questions.keys()]
      .filter((phrasing) => taken[fact].has(phrasing) === held)
      .map((phrasing) => ({ ...known[fact], phrasing }));
  return {
    heldOut: known.map((_, fact) => questions(fact, true)),
    open: known.map((_, fact) => questions(fact, false)),
  };
}

/**
 * `count` of the open questions as texts, no two alike. Facts take turns; a fact uses all its phrasings before it
 * repeats one after another opening.
 *
 * @throws RangeError if there are not that many texts.
 */
export function distinctTexts({
  open,
  count,
  random,
}: {
  open: QuestionsByFact;
  count: number;
  random: RandomStream;
}): {
  question: Question;
  text: string;
}[] {
  const decks = open.map((questions) => ({
    questions: deal(questions, random),
    left: questions.length * openings.length,
  }));
  const most = decks.reduce((sum, deck) => sum + deck.left, 0);
  if (count > most) throw new RangeError(`buildDemoWorld: ${count} prompts, but the world has only ${most}`);

  const turns = deal(decks, random);
  const used = new Set<string>();
  const picked: { question: Question; text: string }[] = [];
  while (picked.length < count) {
    const deck = turns.next().value;
    if (deck.left === 0) continue;
    deck.left--;
    const question = deck.questions.next().value;
    const text = random.pick(openings.map((opening) => ask(question, opening)).filter((each) => !used.has(each)));
    used.add(text);
    picked.push({ question, text });
  }
  return random.shuffle(picked);
}
