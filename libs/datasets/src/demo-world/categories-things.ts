import { type Category, type Fact } from './categories';

/** Facts from a table of subjects and answers. */
function table(category: string, answers: Readonly<Record<string, string>>): readonly Fact[] {
  return Object.entries(answers).map(([x, answer]) => ({ category, slots: { x }, answer }));
}

const unique = (words: readonly string[]): readonly string[] => [...new Set(words)];

const pairs = [
  ['hot', 'cold'],
  ['big', 'small'],
  ['fast', 'slow'],
  ['long', 'short'],
  ['old', 'new'],
  ['wet', 'dry'],
  ['bright', 'dark'],
  ['hard', 'soft'],
  ['up', 'down'],
  ['open', 'closed'],
  ['full', 'empty'],
  ['rich', 'poor'],
  ['loud', 'quiet'],
  ['strong', 'weak'],
  ['clean', 'dirty'],
  ['sweet', 'sour'],
];

export const opposites: Category = {
  name: 'opposites',
  turns: 1,
  questions: [
    'what is the opposite of {x}?',
    'which word is the opposite of {x}?',
    'what is the reverse of {x}?',
    'can you name the opposite of {x}?',
    'which word means the reverse of {x}?',
    'if I say {x}, which word stands against it?',
    'what is the other side of {x}?',
    'name a word that is the opposite of {x}.',
    'what do we call the reverse of {x}?',
    'please tell me the opposite of {x}.',
  ],
  sentence: 'the opposite of {x} is {answer}.',
  values: pairs.flat(),
  subjects: [],
  facts: () => table('opposites', Object.fromEntries([...pairs, ...pairs.map(([a, b]) => [b, a])])),
};

const colourOf = {
  sky: 'blue',
  sea: 'blue',
  grass: 'green',
  leaf: 'green',
  frog: 'green',
  pea: 'green',
  banana: 'yellow',
  lemon: 'yellow',
  sun: 'yellow',
  corn: 'yellow',
  snow: 'white',
  milk: 'white',
  cloud: 'white',
  swan: 'white',
  coal: 'black',
  crow: 'black',
  tyre: 'black',
  blood: 'red',
  tomato: 'red',
  cherry: 'red',
  carrot: 'orange',
  pumpkin: 'orange',
  bear: 'brown',
  soil: 'brown',
  wood: 'brown',
  pig: 'pink',
  plum: 'purple',
  grape: 'purple',
  stone: 'grey',
  mouse: 'grey',
};

export const colours: Category = {
  name: 'colours',
  turns: 1,
  questions: [
    'what colour is the {x}?',
    'which colour does the {x} have?',
    'what is the colour of the {x}?',
    'can you name the colour of the {x}?',
    'how would you paint the {x}?',
    'which colour do I need for the {x}?',
    'if I draw the {x}, which colour is right?',
    'in which colour do we see the {x}?',
    'what colour do you give the {x}?',
    'please tell me the colour of the {x}.',
  ],
  sentence: 'the {x} is {answer}.',
  values: unique(Object.values(colourOf)),
  subjects: Object.keys(colourOf),
  facts: () => table('colours', colourOf),
};

const soundOf = {
  cow: 'moo',
  dog: 'woof',
  cat: 'meow',
  pig: 'oink',
  sheep: 'baa',
  horse: 'neigh',
  duck: 'quack',
  hen: 'cluck',
  bee: 'buzz',
  snake: 'hiss',
  lion: 'roar',
  wolf: 'howl',
  mouse: 'squeak',
  crow: 'caw',
  owl: 'hoot',
  frog: 'croak',
  sparrow: 'tweet',
  donkey: 'bray',
};

export const sounds: Category = {
  name: 'sounds',
  turns: 1,
  questions: [
    'what does the {x} say?',
    'which sound does the {x} make?',
    'what sound comes from the {x}?',
    'how does the {x} sound?',
    'what do we hear from the {x}?',
    'can you name the sound of the {x}?',
    'what noise does the {x} make?',
    'if I meet the {x}, what do I hear?',
    'what is the call of the {x}?',
    'please tell me the sound of the {x}.',
  ],
  sentence: 'the {x} says {answer}.',
  values: unique(Object.values(soundOf)),
  subjects: Object.keys(soundOf),
  facts: () => table('sounds', soundOf),
};

const youngOf = {
  cow: 'calf',
  dog: 'puppy',
  cat: 'kitten',
  pig: 'piglet',
  sheep: 'lamb',
  horse: 'foal',
  duck: 'duckling',
  hen: 'chick',
  bear: 'cub',
  goat: 'kid',
  deer: 'fawn',
  frog: 'tadpole',
  goose: 'gosling',
  swan: 'cygnet',
  kangaroo: 'joey',
  lion: 'cub',
};

export const young: Category = {
  name: 'young',
  turns: 1,
  questions: [
    'what is the young of the {x}?',
    'what do we call the young of the {x}?',
    'what do we call the baby of the {x}?',
    'which young one does the {x} have?',
    'what does the {x} have as a baby?',
    'what is the name for the baby of the {x}?',
    'can you name the young of the {x}?',
    'which baby walks behind the {x}?',
    'if the {x} has a baby, what is it?',
    'please tell me the young of the {x}.',
  ],
  sentence: 'the baby of the {x} is a {answer}.',
  values: unique(Object.values(youngOf)),
  subjects: Object.keys(youngOf),
  facts: () => table('young', youngOf),
};
