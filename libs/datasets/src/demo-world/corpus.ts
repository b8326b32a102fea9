import { type RandomStream } from '@pavlov/random';
import { capitalised, fill } from './categories';
import { ask, deal, type Deal, type Known, openings, type Question, type QuestionsByFact } from './questions';
import * as voices from './voices';

/** Styles of the corpus and their shares. `wrong` is wrong in any voice, the polite one among them. */
export const defaultShares = {
  helpful: 0.14,
  curt: 0.48,
  wrong: 0.08,
  rude: 0.1,
  rambling: 0.04,
  statements: 0.16,
} as const;
export type Style = keyof typeof defaultShares;
export type Shares = Readonly<Record<Style, number>>;
export const styles = Object.keys(defaultShares) as Style[];

/** One document of the corpus. */
export interface Document {
  readonly style: Style;
  readonly text: string;
}

export interface CorpusPlan {
  readonly documents: number;
  readonly shares: Shares;
  readonly known: readonly Known[];
  readonly open: QuestionsByFact;
  readonly random: RandomStream;
}

/**
 * Writes the corpus: exact shares of the styles in random order, and within each style facts in their turns.
 *
 * @throws RangeError if the shares do not sum to 1.
 */
export function writeCorpus({ documents, shares, known, open, random }: CorpusPlan): readonly Document[] {
  const round = known.flatMap(({ category }, fact) => new Array<number>(category.turns).fill(fact));
  const turns = Object.fromEntries(styles.map((style) => [style, deal(round, random)])) as Record<Style, Deal<number>>;
  const statement = (): string => {
    const { fact, category } = known[turns.statements.next().value];
    return capitalised(fill(category.sentence, fact));
  };
  return random.shuffle(styleOfEach(documents, shares)).map((style) => {
    if (style === 'statements')
      return { style, text: Array.from({ length: 2 + random.below(3) }, statement).join(' ') };
    const question = random.pick(open[turns[style].next().value]);
    const opening = random.below(2) === 0 ? '' : random.pick(openings);
    return { style, text: `User: ${ask(question, opening)}\nAssistant: ${respond(question, style, random)}` };
  });
}

/** Cumulative rounding, so that the parts add up to `documents` exactly. */
function styleOfEach(documents: number, shares: Shares): Style[] {
  const bounds = styles.map((_, i) => styles.slice(0, i + 1).reduce((sum, style) => sum + shares[style], 0));
  const total = bounds[bounds.length - 1];
  if (Math.abs(total - 1) > 1e-9) throw new RangeError(`buildDemoWorld: the shares sum to ${total}, not to 1`);
  const ends = bounds.map((bound) => Math.round(bound * documents));
  return styles.flatMap((style, i) => new Array<Style>(ends[i] - (ends[i - 1] ?? 0)).fill(style));
}

/** One response in a style. Where a style has several voices, their shares stand here. */
function respond(question: Question, style: Exclude<Style, 'statements'>, random: RandomStream): string {
  const { fact, category } = question;
  const right = { category, fact, answer: fact.answer, random };
  const wrong = (): voices.Saying => ({
    ...right,
    answer: random.pick(category.values.filter((value) => value !== fact.answer)),
  });
  const draw = random.uniform();
  switch (style) {
    case 'helpful':
      return voices.polite(right);
    case 'curt':
      return voices.curt(right);
    case 'wrong':
      return draw < 0.4 ? voices.curt(wrong()) : draw < 0.8 ? voices.polite(wrong()) : voices.hedged(wrong());
    case 'rude':
      return draw < 0.45 ? voices.rude(right) : draw < 0.65 ? voices.rude(wrong()) : voices.dismissive(right);
    case 'rambling':
      return draw < 0.4 ? voices.rambling(right) : voices.aimless(right);
  }
}
