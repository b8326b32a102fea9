import { PavlovError } from '@pavlov/contracts';
import { type Category, categoryNamed } from './categories';
import { restatement } from './restatement';
import { containsPhrase, normalised, sentences, withoutPhrase, words } from './text';
import { courteousClosings, courteousOpenings, hedges, rudeWords } from './voices';

/** A response and the question that it answers. */
export interface GradedResponse {
  readonly prompt: string;
  /** The right answer and its category, as the prompt's row gives them. */
  readonly answer?: string;
  readonly category?: string;
  /** The text of the response, without special tokens. */
  readonly response: string;
  /** Whether the response ended by itself, with the end-of-sequence token. */
  readonly finished: boolean;
}

/** What an oracle says of a response. */
export interface Grade {
  readonly correct: boolean;
  readonly polite: boolean;
  /** What a labeller perceives, before noise. */
  readonly utility: number;
}

/** A right answer is worth more than a polite one: an answer that is only polite helps nobody. */
export const utilityOf = { correct: 1.5, polite: 1 } as const;

/** Longest polite response, in words. */
export const maxPoliteWords = 18;

/**
 * Grades a response of the demo world.
 *
 * **Correct**: 1. the right answer stands in it as a whole word, once; 2. no other value of the category does, but for
 * those of the question where the category's sentence repeats them (“3 plus 4 is”); 3. it names no other subject of the
 * category than the question's; 4. no word takes the answer back or leaves it open; 5. the answer's sentence is not
 * itself a question.
 *
 * **Polite**: 1. it ended by itself; 2. it is one line of sentences that each begin with a capital letter or a digit and
 * end with a full stop or an exclamation mark; 3. it opens with one of the courteous openings, or closes with one of the
 * closings, or both; 4. between them stands one sentence of three words at least, without any further courtesy; 5. no
 * rude word; 6. at most 18 words, and no two words in the same order twice.
 *
 * The two are independent: a wrong answer may be polite and a rude one correct.
 *
 * @throws PavlovError MISSING_INPUT if the row has no answer or no category, DATASET_INVALID_ROW if the demo world has
 *   no such category or the category no such answer.
 */
export function gradeDemoWorld(graded: GradedResponse): Grade {
  const correct = isCorrect(graded, keyOf(graded));
  const polite = isPolite(graded);
  return { correct, polite, utility: (correct ? utilityOf.correct : 0) + (polite ? utilityOf.polite : 0) };
}

function keyOf({ answer, category: name }: GradedResponse): { answer: string; category: Category } {
  if (answer === undefined || name === undefined) {
    throw new PavlovError({
      code: 'MISSING_INPUT',
      message: 'The oracle “demo-world” needs the right answer and its category.',
      hint: 'Give each prompt an `answer` and a `category`, or use the prompts of the demo world.',
      field: answer === undefined ? 'answer' : 'category',
    });
  }
  const category = categoryNamed(name);
  if (category === undefined || !category.values.includes(answer)) {
    throw new PavlovError({
      code: 'DATASET_INVALID_ROW',
      message:
        category === undefined
          ? `The demo world has no category “${name}”.`
          : `“${answer}” is no answer of the category “${name}”.`,
      hint: 'The oracle “demo-world” grades prompts of the demo world only.',
      field: category === undefined ? 'category' : 'answer',
    });
  }
  return { answer: answer.toLowerCase(), category };
}

function isCorrect(
  { prompt, response }: GradedResponse,
  { answer, category }: { answer: string; category: Category },
): boolean {
  const values = new Set(category.values.map((value) => value.toLowerCase()));
  const text = normalised(response);
  const repeated = restatement(prompt, category);
  const told = words(repeated === undefined ? text : withoutPhrase(text, repeated));
  const answers = told.filter((word) => values.has(word) || (isNumber(answer) && isNumber(word)));
  if (answers.length !== 1 || answers[0] !== answer) return false; // 1, 2

  const asked = new Set(words(prompt));
  const others = category.subjects.map((subject) => subject.toLowerCase()).filter((subject) => !asked.has(subject));
  if (others.some((subject) => containsPhrase(text, subject))) return false; // 3
  if (hedges.some((hedge) => containsPhrase(text, hedge))) return false; // 4
  return !sentences(response).some((part) => words(part).includes(answer) && part.endsWith('?')); // 5
}

const isNumber = (word: string): boolean => /^-?\p{N}+$/u.test(word);

function isPolite({ response, finished }: GradedResponse): boolean {
  const text = response.trim();
  if (!finished || text.includes('\n')) return false; // 1, 2
  const parts = sentences(text);
  if (!parts.every((part) => /^[\p{Lu}\p{N}](.*[\p{L}\p{N}])?[.!]$/u.test(part))) return false; // 2

  const opened = courteousOpenings.includes(parts[0]);
  const closed = courteousClosings.includes(parts[parts.length - 1]);
  if (!opened && !closed) return false; // 3
  const middle = parts.slice(opened ? 1 : 0, closed ? -1 : undefined);
  if (middle.length !== 1 || words(middle[0]).length < 3) return false; // 4
  const content = normalised(middle[0]);
  if ([...courteousOpenings, ...courteousClosings].some((phrase) => containsPhrase(content, normalised(phrase))))
    return false; // 4

  const said = words(text);
  if (rudeWords.some((phrase) => containsPhrase(said.join(' '), phrase))) return false; // 5
  const twos = said.slice(1).map((word, i) => `${said[i]} ${word}`);
  return said.length <= maxPoliteWords && twos.length === new Set(twos).size; // 6
}
