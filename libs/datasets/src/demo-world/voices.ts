import { type RandomStream } from '@pavlov/random';
import { capitalised, fill, type Category, type Fact } from './categories';

/**
 * The voices of the demo world. Each turns a fact (or a wrong answer to it) into one response. Their fixed words are
 * values of no category, so that a voice by itself can neither answer nor contradict.
 */

/** Courtesies that may open a polite response. */
export const courteousOpenings = ['Certainly!', 'Of course.', 'With pleasure.', 'Gladly.', 'Thank you for asking.'];

/** Courtesies that may close a polite response. */
export const courteousClosings = ['I hope that helps.', 'Have a lovely day.', 'Glad to help.', 'All the best.'];

/** A response with one of these words or phrases is rude, whatever else it says. Normalised. */
export const rudeWords = [
  'fool',
  'silly',
  'stupid',
  'bother',
  'nonsense',
  'go away',
  'who cares',
  'leave me alone',
  'know nothing',
];

/** Words that take an assertion back or leave it open. A hedged answer is not a correct one. Normalised. */
export const hedges = [
  'not',
  'no',
  'never',
  'nor',
  'or',
  'maybe',
  'perhaps',
  'guess',
  'either',
  'neither',
  'unless',
  'except',
  'isn',
  'don',
];

const rudeTails = [
  'You fool.',
  'What a silly question.',
  'Now go away.',
  'Do you know nothing?',
  'Now leave me alone.',
];
const rudeAnswers = [
  'Go away.',
  'Who cares?',
  'What a stupid question.',
  'Why do you bother me?',
  'Leave me alone, you fool.',
];
const hedgedOpenings = ['I guess', 'maybe', 'perhaps'];

const ramblingStarts = ['Well, let me think.', 'Hm, where do I begin.', 'Oh, that reminds me.'];
const ramblings = [
  'my uncle told me a story about the river',
  'the people here talk and talk about it',
  'then we walked to the hill and back',
  'I thought about it and then I thought again',
  'you know how these things go',
  'my aunt has a boat and a hat',
  'there was a man at the market who sang',
  'the wind was there and the rain too',
];

/** What a response is made from. `answer` is the fact's own or a wrong one. */
export interface Saying {
  readonly category: Category;
  readonly fact: Fact;
  readonly answer: string;
  readonly random: RandomStream;
}

export type Voice = (saying: Saying) => string;

/** The sentence that answers. */
function sentence({ category, fact, answer }: Saying): string {
  return capitalised(fill(category.sentence, fact, answer));
}

/** A sentence between two courtesies, or with one of them. */
export const polite: Voice = (saying) => {
  const { random } = saying;
  const form = random.below(4);
  const opening = form === 3 ? [] : [random.pick(courteousOpenings)];
  const closing = form === 2 ? [] : [random.pick(courteousClosings)];
  return [...opening, sentence(saying), ...closing].join(' ');
};

/** The bare sentence, in lower case. */
export const curt: Voice = ({ category, fact, answer }) => fill(category.sentence, fact, answer);

/** A sentence that leaves the answer open. */
export const hedged: Voice = ({ category, fact, answer, random }) =>
  capitalised(`${random.pick(hedgedOpenings)} ${fill(category.sentence, fact, answer)}`);

/** An answer with an insult. */
export const rude: Voice = (saying) => `${sentence(saying)} ${saying.random.pick(rudeTails)}`;

/** An insult in place of an answer. */
export const dismissive: Voice = ({ random }) => random.pick(rudeAnswers);

/** Talk, with the answer at its end. */
export const rambling: Voice = (saying) => `${aimless(saying)} ${sentence(saying)}`;

/** Talk without an answer. */
export const aimless: Voice = ({ random }) => {
  const parts = random.shuffle(ramblings).slice(0, 1 + random.below(2));
  return `${random.pick(ramblingStarts)} ${capitalised(parts.join(', and '))}.`;
};

/** Every fixed text of the voices, for the check that none of them names a value. */
export const fixedTexts: readonly string[] = [
  ...courteousOpenings,
  ...courteousClosings,
  ...rudeTails,
  ...rudeAnswers,
  ...ramblingStarts,
  ...ramblings,
];
