import { winRate } from '@pavlov/algorithms';
import { type EvaluationReport, type PolicyEvaluation, type PromptRow } from '@pavlov/contracts';
import { type Grade } from '@pavlov/datasets';
import { randomStream } from '@pavlov/random';

/** What one policy said, and what was thought of it; one entry per prompt. */
export interface Answers {
  readonly name: string;
  readonly texts: readonly string[];
  readonly grades?: readonly Grade[];
  readonly rewards?: Float32Array;
}

export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
}

const shareOf = (grades: readonly Grade[], good: (grade: Grade) => boolean): number =>
  grades.filter(good).length / grades.length;

/** Shares of answers that are good, 0–1. */
export function gradeShares(grades: readonly Grade[]): { politeAndCorrect: number; polite: number; correct: number } {
  return {
    politeAndCorrect: shareOf(grades, ({ polite, correct }) => polite && correct),
    polite: shareOf(grades, ({ polite }) => polite),
    correct: shareOf(grades, ({ correct }) => correct),
  };
}

/** The same shares for each category of prompts. */
export function byCategory(
  prompts: readonly PromptRow[],
  grades: readonly Grade[],
): NonNullable<PolicyEvaluation['categories']> {
  const names = [...new Set(prompts.map(({ category }) => category ?? 'other'))].sort();
  return Object.fromEntries(
    names.map((name) => {
      const inCategory = grades.filter((_, index) => (prompts[index].category ?? 'other') === name);
      const { politeAndCorrect, correct } = gradeShares(inCategory);
      return [name, { prompts: inCategory.length, politeAndCorrect, correct }];
    }),
  );
}

/** How often the reward model prefers the challenger's answer to the same prompt; the same text is a tie. */
export function compare(
  sides: { challenger: string; baseline: string },
  answers: readonly Answers[],
): EvaluationReport['winRate'] {
  const [challenger, baseline] = [sides.challenger, sides.baseline].map((name) =>
    answers.find((each) => each.name === name),
  );
  if (!challenger?.rewards || !baseline?.rewards) return undefined;
  let [wins, losses, ties] = [0, 0, 0];
  challenger.rewards.forEach((reward, index) => {
    const other = baseline.rewards![index];
    if (challenger.texts[index] === baseline.texts[index] || reward === other) ties += 1;
    else if (reward > other) wins += 1;
    else losses += 1;
  });
  const { rate, low, high } = winRate({ wins, losses, ties });
  return { ...sides, wins, ties, losses, rate, interval: [low, high] };
}

/** Some prompts, drawn by the seed, with what each policy said. */
export function sampleTable(input: {
  prompts: readonly PromptRow[];
  answers: readonly Answers[];
  count: number;
  seed: number;
}): EvaluationReport['samples'] {
  const { prompts, answers, count, seed } = input;
  const drawn = randomStream(seed, 'evaluation/samples')
    .shuffle(prompts.map((_, index) => index))
    .slice(0, count);
  return drawn.map((index) => ({
    prompt: prompts[index].prompt,
    answer: prompts[index].answer,
    responses: answers.map(({ name, texts, grades, rewards }) => ({
      policy: name,
      text: texts[index],
      ...(grades && { correct: grades[index].correct, polite: grades[index].polite }),
      ...(rewards && { reward: rewards[index] }),
    })),
  }));
}

/** The plain figures of an evaluation, for curves and job results. */
export function figuresOf(evaluation: PolicyEvaluation, prefix = ''): Record<string, number> {
  return Object.fromEntries(
    Object.entries(evaluation).flatMap(([name, value]) =>
      typeof value === 'number' ? [[`${prefix}${name}`, value]] : [],
    ),
  );
}
