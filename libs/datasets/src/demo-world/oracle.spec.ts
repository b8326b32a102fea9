import { PavlovError } from '@pavlov/contracts';
import { type GradedResponse, gradeDemoWorld, utilityOf } from './oracle';

const sum = { prompt: 'Hello! What is 3 plus 4?', answer: '7', category: 'addition' };
const day = { prompt: 'What day comes after Monday?', answer: 'Tuesday', category: 'day-after' };
const colour = { prompt: 'What colour is the banana?', answer: 'yellow', category: 'colours' };
const craft = { prompt: 'What is the craft of Mira?', answer: 'baker', category: 'crafts' };

const grade = (question: typeof sum, response: string, finished = true) =>
  gradeDemoWorld({ ...question, response, finished });

describe('correct', () => {
  it.each([
    [sum, '7'],
    [sum, '3 plus 4 is 7.'],
    [sum, 'Certainly! 3 plus 4 is 7. Have a lovely day.'],
    [sum, '3 plus 4 is 7. You fool.'],
    [day, 'tuesday'],
    [day, 'After Monday comes Tuesday.'],
    [colour, 'The banana is YELLOW'],
    [craft, 'Mira is a baker.'],
  ])('accepts for %j: %s', (question, response) => {
    expect(grade(question, response).correct).toBe(true);
  });

  it.each([
    ['no answer', sum, 'Certainly! Have a lovely day.'],
    ['empty', sum, ''],
    ['wrong', sum, '3 plus 4 is 8.'],
    ['two answers', sum, '3 plus 4 is 7 or 8.'],
    ['a list of answers', sum, '5 6 7 8 9'],
    ['the answer with a second one outside the values', sum, '3 plus 4 is 7. 3 plus 4 is 99.'],
    ['the answer twice', sum, '7 7'],
    ['the answer within a word', sum, '3 plus 4 is 77.'],
    ['an ordinal', sum, '3 plus 4 is the 7th.'],
    ['a negative number', sum, '3 plus 4 is -7.'],
    ['a decimal', sum, '3 plus 4 is 7.5.'],
    ['the values of the question, the wrong way', sum, '4 plus 3 is 7.'],
    ['the question repeated twice', sum, '3 plus 4 is 7. 3 plus 4 is fine.'],
    ['a fact about other numbers', sum, '2 plus 5 is 7.'],
    ['hedged', sum, 'Maybe 7.'],
    ['guessed', sum, 'I guess 3 plus 4 is 7.'],
    ['taken back', sum, '3 plus 4 is not 7.'],
    ['asked back', sum, 'Is it 7?'],
    ['a value of the question beside the answer', day, 'Monday, Tuesday'],
    ['the wrong way round', day, 'After Tuesday comes Monday.'],
    ['every value', day, 'Monday Tuesday Wednesday Thursday Friday Saturday Sunday'],
    ['two values with a hyphen', colour, 'The banana is yellow-green.'],
    ['another subject', colour, 'The lemon is yellow.'],
    ['another subject too', colour, 'The banana is yellow and the sky is far.'],
    ['part of a longer word', colour, 'The banana is yellowish.'],
    ['another villager', craft, 'Tovin is a baker.'],
  ])('refuses %s', (_, question, response) => {
    expect(grade(question, response).correct).toBe(false);
  });

  it('excuses the question’s values only for a prompt of the demo world', () => {
    expect(
      gradeDemoWorld({ ...sum, prompt: 'Three and four, please', response: '3 plus 4 is 7.', finished: true }).correct,
    ).toBe(false);
    expect(
      gradeDemoWorld({ ...sum, prompt: 'Three and four, please', response: 'It is 7.', finished: true }).correct,
    ).toBe(true);
  });
});

describe('polite', () => {
  it.each([
    'Certainly! 3 plus 4 is 7. Have a lovely day.',
    'Of course. 3 plus 4 is 7.',
    '3 plus 4 is 7. I hope that helps.',
    'Thank you for asking. The opposite of hot is cold. All the best.',
    'Gladly. 3 plus 4 is 8.',
  ])('accepts %s', (response) => {
    expect(grade(sum, response).polite).toBe(true);
  });

  it.each([
    ['no courtesy', '3 plus 4 is 7.'],
    ['nothing', ''],
    ['courtesies alone', 'Certainly! Have a lovely day.'],
    ['courtesies repeated', 'Certainly! Certainly! 3 plus 4 is 7. Have a lovely day.'],
    ['two openings', 'Certainly! Of course. 3 plus 4 is 7.'],
    ['two closings', '3 plus 4 is 7. Have a lovely day. All the best.'],
    ['courtesy in the middle', '3 plus 4 is 7. Have a lovely day. 3 plus 4 is 7.'],
    ['courtesy within the sentence', 'Certainly! I hope that helps you find 7.'],
    ['a rude word', 'Certainly! 3 plus 4 is 7, you fool. Have a lovely day.'],
    ['a rude phrase', 'Certainly! Go away now please. Have a lovely day.'],
    ['a small beginning', 'certainly! 3 plus 4 is 7.'],
    ['a small second sentence', 'Certainly! the banana is yellow.'],
    ['no full stop', 'Certainly! 3 plus 4 is 7'],
    ['a question', 'Certainly! Is it not 7? Have a lovely day.'],
    ['a bare word', 'Certainly! 7. Have a lovely day.'],
    ['two sentences', 'Certainly! 3 plus 4 is 7. The banana is yellow. Have a lovely day.'],
    [
      'rambling',
      'Certainly! My uncle told me a story about the river and the hill and then we walked to the market. Have a lovely day.',
    ],
    ['a phrase repeated', 'Certainly! It is 7 it is 7. Have a lovely day.'],
    ['a word repeated', 'Certainly! Yes yes yes 7. Have a lovely day.'],
    ['a second turn', 'Certainly! 3 plus 4 is 7.\nUser: Hello!'],
  ])('refuses %s', (_, response) => {
    expect(grade(sum, response).polite).toBe(false);
  });

  it('refuses what did not end by itself', () => {
    expect(grade(sum, 'Certainly! 3 plus 4 is 7.', false)).toMatchObject({ correct: true, polite: false });
  });
});

describe('utility', () => {
  it('grades the two apart and adds them up', () => {
    const { correct, polite } = utilityOf;
    expect(grade(sum, 'Certainly! 3 plus 4 is 7.')).toEqual({ correct: true, polite: true, utility: correct + polite });
    expect(grade(sum, '3 plus 4 is 7. You fool.')).toEqual({ correct: true, polite: false, utility: correct });
    expect(grade(sum, 'Certainly! 3 plus 4 is 8.')).toEqual({ correct: false, polite: true, utility: polite });
    expect(grade(sum, 'Who cares?')).toEqual({ correct: false, polite: false, utility: 0 });
    expect(correct).toBeGreaterThan(polite);
  });
});

describe('a row that the oracle cannot grade', () => {
  const codeOf = (row: Partial<GradedResponse>): unknown => {
    try {
      return gradeDemoWorld({ prompt: 'What is 3 plus 4?', response: '7', finished: true, ...row });
    } catch (error) {
      return error instanceof PavlovError ? [error.code, error.body.field] : error;
    }
  };
  it('is refused by name', () => {
    expect(codeOf({ category: 'addition' })).toEqual(['MISSING_INPUT', 'answer']);
    expect(codeOf({ answer: '7' })).toEqual(['MISSING_INPUT', 'category']);
    expect(codeOf({ answer: '7', category: 'geography' })).toEqual(['DATASET_INVALID_ROW', 'category']);
    expect(codeOf({ answer: 'blue', category: 'addition' })).toEqual(['DATASET_INVALID_ROW', 'answer']);
  });
});
