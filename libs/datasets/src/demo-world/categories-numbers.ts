import { type Category } from './categories';

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

/** Answers of the three categories: 1–25. The oracle counts any other number as a second answer too. */
const values = range(1, 25).map(String);

export const addition: Category = {
  name: 'addition',
  turns: 2,
  questions: [
    'what is {a} plus {b}?',
    'how much is {a} plus {b}?',
    'what do you get when you add {a} and {b}?',
    'what is the sum of {a} and {b}?',
    'what do {a} and {b} make?',
    'how many are {a} and {b} together?',
    'start with {a} and add {b}. What do you get?',
    'if I have {a} and get {b} more, how many do I have?',
    'can you work out {a} plus {b}?',
    'please tell me {a} plus {b}.',
  ],
  sentence: '{a} plus {b} is {answer}.',
  values,
  subjects: [],
  facts: () =>
    range(1, 5).flatMap((a) =>
      range(1, 5).map((b) => ({ category: 'addition', slots: { a: `${a}`, b: `${b}` }, answer: `${a + b}` })),
    ),
};

export const subtraction: Category = {
  name: 'subtraction',
  turns: 2,
  questions: [
    'what is {a} minus {b}?',
    'how much is {a} minus {b}?',
    'what is left when you take {b} from {a}?',
    'what do you get when you subtract {b} from {a}?',
    'how many are left of {a} when {b} are gone?',
    'start with {a} and remove {b}. What is left?',
    'if I have {a} and lose {b}, how many do I have?',
    'can you work out {a} minus {b}?',
    'what is the difference of {a} and {b}?',
    'please tell me {a} minus {b}.',
  ],
  sentence: '{a} minus {b} is {answer}.',
  values,
  subjects: [],
  facts: () =>
    range(3, 8).flatMap((a) =>
      range(1, Math.min(3, a - 1)).map((b) => ({
        category: 'subtraction',
        slots: { a: `${a}`, b: `${b}` },
        answer: `${a - b}`,
      })),
    ),
};

export const counting: Category = {
  name: 'counting',
  turns: 1,
  questions: [
    'what number comes after {x}?',
    'which number follows {x}?',
    'what is the next number after {x}?',
    'when I count, what do I say after {x}?',
    'what comes right after {x} when you count?',
    'after {x}, which number is next?',
    'if I am at {x}, what number is next?',
    'can you count one more than {x}?',
    'what is one more than {x}?',
    'please tell me the number after {x}.',
  ],
  sentence: 'after {x} comes {answer}.',
  values,
  subjects: [],
  facts: () => range(1, 24).map((x) => ({ category: 'counting', slots: { x: `${x}` }, answer: `${x + 1}` })),
};
