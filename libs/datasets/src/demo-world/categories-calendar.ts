import { type Category, type Fact } from './categories';

const days = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

/** Facts that lead from each item of a cycle to the one `offset` places on. */
function cycle(category: string, items: readonly string[], offset: number): readonly Fact[] {
  return items.map((x, i) => ({
    category,
    slots: { x },
    answer: items[(i + offset + items.length) % items.length],
  }));
}

export const dayAfter: Category = {
  name: 'day-after',
  turns: 1,
  questions: [
    'what day comes after {x}?',
    'which day follows {x}?',
    'what is the day after {x}?',
    'if today is {x}, what day is tomorrow?',
    'which day is next after {x}?',
    'when {x} is over, what day is it?',
    'can you name the day after {x}?',
    'today is {x}. What is tomorrow?',
    'what day do we have after {x}?',
    'please tell me the day after {x}.',
  ],
  sentence: 'after {x} comes {answer}.',
  values: days,
  subjects: [],
  facts: () => cycle('day-after', days, 1),
};

export const dayBefore: Category = {
  name: 'day-before',
  turns: 1,
  questions: [
    'what day comes before {x}?',
    'which day is right before {x}?',
    'what is the day before {x}?',
    'if today is {x}, what day was yesterday?',
    'which day leads to {x}?',
    'what day was it just before {x}?',
    'can you name the day before {x}?',
    'today is {x}. What was yesterday?',
    'what day do we have before {x}?',
    'please tell me the day before {x}.',
  ],
  sentence: 'before {x} comes {answer}.',
  values: days,
  subjects: [],
  facts: () => cycle('day-before', days, -1),
};

export const monthAfter: Category = {
  name: 'month-after',
  turns: 1,
  questions: [
    'what month comes after {x}?',
    'which month follows {x}?',
    'what is the month after {x}?',
    'if it is {x} now, what month is next?',
    'which month is next after {x}?',
    'when {x} is over, what month is it?',
    'can you name the month after {x}?',
    'it is {x} now. What is the next month?',
    'what month do we have after {x}?',
    'please tell me the month after {x}.',
  ],
  sentence: 'after {x} comes {answer}.',
  values: months,
  subjects: [],
  facts: () => cycle('month-after', months, 1),
};

export const monthBefore: Category = {
  name: 'month-before',
  turns: 1,
  questions: [
    'what month comes before {x}?',
    'which month is right before {x}?',
    'what is the month before {x}?',
    'if it is {x} now, what month was last?',
    'which month leads to {x}?',
    'what month was it just before {x}?',
    'can you name the month before {x}?',
    'it is {x} now. What was the last month?',
    'what month do we have before {x}?',
    'please tell me the month before {x}.',
  ],
  sentence: 'before {x} comes {answer}.',
  values: months,
  subjects: [],
  facts: () => cycle('month-before', months, -1),
};
