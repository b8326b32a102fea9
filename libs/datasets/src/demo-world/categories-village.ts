import { type Category, type Fact } from './categories';

/**
 * An invented village: who has which craft and what grows in whose garden is drawn from the seed, so nobody can know
 * it but from the corpus.
 */
const villagers = [
  'Bram',
  'Dako',
  'Dilla',
  'Elka',
  'Fenn',
  'Golda',
  'Gus',
  'Hetta',
  'Hobb',
  'Ivo',
  'Jun',
  'Kesti',
  'Kip',
  'Lenn',
  'Lotta',
  'Mira',
  'Nella',
  'Odo',
  'Pim',
  'Rasha',
  'Runa',
  'Suri',
  'Tovin',
  'Wenna',
  'Yara',
  'Zeb',
];
const craftNames = [
  'baker',
  'potter',
  'weaver',
  'smith',
  'miller',
  'fisher',
  'tailor',
  'carver',
  'painter',
  'teacher',
  'doctor',
  'shepherd',
];
const plants = ['roses', 'beans', 'carrots', 'pumpkins', 'tulips', 'cabbages', 'onions', 'lilies', 'peas', 'daisies'];

function invented(category: string, pick: () => string): readonly Fact[] {
  return villagers.map((x) => ({ category, slots: { x }, answer: pick() }));
}

export const crafts: Category = {
  name: 'crafts',
  turns: 1,
  questions: [
    'what is the craft of {x}?',
    'what does {x} do in the village?',
    'which craft does {x} have?',
    'what work does {x} do?',
    'how does {x} earn a living?',
    'can you name the craft of {x}?',
    'what is {x} in the village?',
    'which trade did {x} learn?',
    'if I ask for {x}, which craft do I find?',
    'please tell me the craft of {x}.',
  ],
  sentence: '{x} is a {answer}.',
  values: craftNames,
  subjects: villagers,
  facts: (pick) => invented('crafts', () => pick(craftNames)),
};

export const gardens: Category = {
  name: 'gardens',
  turns: 1,
  questions: [
    'what grows in the garden of {x}?',
    'what does {x} grow?',
    'which plants does {x} have in the garden?',
    'what do we find in the garden of {x}?',
    'can you name the plants of {x}?',
    'what did {x} plant this year?',
    'which plants does {x} care for?',
    'if I visit the garden of {x}, what do I see?',
    'what is in the garden of {x}?',
    'please tell me what {x} grows.',
  ],
  sentence: '{x} grows {answer}.',
  values: plants,
  subjects: villagers,
  facts: (pick) => invented('gardens', () => pick(plants)),
};
