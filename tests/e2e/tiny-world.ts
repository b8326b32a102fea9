import { type DatasetRows } from '@pavlov/contracts';

/** A world so small that every stage takes a second or two: nothing is learned well, but everything runs. */
const numbers = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'];

const question = (index: number): string => `What comes after ${numbers[index % 7]}?`;
const answer = (index: number): string => `${numbers[(index % 7) + 1]}.`;

export const tinyWorld: { [K in keyof DatasetRows]: DatasetRows[K][] } = {
  text: Array.from({ length: 60 }, (_, index) => ({ text: `User: ${question(index)}\nAssistant: ${answer(index)}` })),
  demonstrations: Array.from({ length: 14 }, (_, index) => ({
    prompt: question(index),
    completion: `Of course. ${answer(index)}`,
  })),
  prompts: Array.from({ length: 7 }, (_, index) => ({ prompt: question(index) })),
  rankings: Array.from({ length: 12 }, (_, index) => ({
    prompt: question(index),
    completions: [`Of course. ${answer(index)}`, answer(index), 'No.', 'Go away.'],
    ranks: [1, 2, 3, 3],
  })),
};

/** Prompts that the simulated labeller's oracle can grade answers to. */
export const gradedPrompts: DatasetRows['prompts'][] = [
  { prompt: 'What is the opposite of hot?', answer: 'cold', category: 'opposites' },
  { prompt: 'What is the opposite of big?', answer: 'small', category: 'opposites' },
  { prompt: 'What is the opposite of hard?', answer: 'soft', category: 'opposites' },
];

/** The stages' options for it. */
export const tinyConfigs = {
  pretraining: {
    model: { layers: 2, heads: 2, width: 32, contextLength: 64 },
    tokenizer: { vocabSize: 300 },
    steps: 12,
    batchSize: 4,
    warmupSteps: 2,
    evaluateEvery: 6,
  },
  sft: { epochs: 2, batchSize: 4, dropout: 0 },
  // No ties: answers of a model that has learned nothing are all alike to the oracle.
  feedback: { labeller: { kind: 'simulated', oracle: 'demo-world', tieThreshold: 0 }, maxNewTokens: 8, batchSize: 8 },
  'reward-modeling': { batchSize: 4 },
  ppo: { iterations: 2, warmupIterations: 1, batchSize: 8, minibatchSize: 4, epochs: 2, maxNewTokens: 8 },
  evaluation: { temperature: 0.7, maxNewTokens: 8, batchSize: 8, samples: 2 },
} as const;
