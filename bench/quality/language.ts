import { initParameters, type TransformerConfig } from '@pavlov/model';
import { randomStream } from '@pavlov/random';
import type { Engine, Parameters } from '@pavlov/tensor';
import { compileLmStep, createLearner } from '@pavlov/training';
import { type Shape, shapeFromArguments } from '../speed/shapes';

/** What is learned, and from which seed, 1 or above. */
export interface Lesson {
  readonly shape: Shape;
  readonly steps: number;
  readonly seed: number;
}

/** The lesson that a command line asks for: `[shape] [steps] [seed]`. */
export function lessonFromArguments([shapeName, steps = '300', seed = '1']: readonly string[]): Lesson {
  return { shape: shapeFromArguments(shapeName), steps: Number(steps), seed: Number(seed) };
}

const optimiser = {
  weightDecay: 0,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  epsilonPlacement: 'pytorch',
  clipNorm: 1,
} as const;
const learningRate = 1e-3;
/** Tokens that may follow a token, the nth with half the probability of the one before. */
const branches = 6;
/** Of the texts of one lesson, more than it has steps; text from seeds below it is never trained on. */
const seedsOfLesson = 100_000;

interface TextOptions {
  readonly length: number;
  readonly vocabSize: number;
  readonly seed: number;
}

/** Text of a language of its own: what follows a token depends on it and, one time in two, on the one before it. */
function text({ length, vocabSize, seed }: TextOptions): number[] {
  const { uniform, below } = randomStream(seed, 'bench/int8'); // so that figures stay what they were
  const tokens = [2 + below(vocabSize - 2)];
  while (tokens.length < length) {
    const branch = Math.min(branches - 1, Math.floor(-Math.log2(1 - uniform())));
    const context = tokens.at(-1)! * 31 + (uniform() < 0.5 ? (tokens.at(-2) ?? 0) : 0);
    tokens.push(2 + ((context * 7 + branch * 101) % (vocabSize - 2)));
  }
  return tokens;
}

/** As many texts as asked for, none of which a lesson trains on. */
export function heldOutTexts({ vocabSize }: TransformerConfig, size: { rows: number; length: number }): number[][] {
  return Array.from({ length: size.rows }, (_, row) => text({ length: size.length, vocabSize, seed: 1 + row }));
}

/** A model that has learned the language for so many steps, and its loss at each, in nats per token. */
export async function learn(
  engine: Engine,
  { shape: { model, batch: rows, length: columns }, steps, seed }: Lesson,
): Promise<{ parameters: Parameters; losses: readonly number[] }> {
  const learner = createLearner(initParameters(model, 'lm', seed), optimiser);
  const step = compileLmStep(engine, { model, rows, columns });
  const count = rows * columns;
  const mask = new Float32Array(count).fill(1);
  const losses: number[] = [];
  for (let index = 0; index < steps; index++) {
    const ids = text({ length: count + 1, vocabSize: model.vocabSize, seed: seed * seedsOfLesson + index });
    const [tokens, targets] = [ids.slice(0, -1), ids.slice(1)].map((part) => Int32Array.from(part));
    const { loss } = await step.gradients(learner, { tokens, targets, mask });
    learner.update({ learningRate, losses: { loss } });
    losses.push(loss);
  }
  return { parameters: learner.parameters, losses };
}
