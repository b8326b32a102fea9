import { PavlovError } from '@pavlov/contracts';
import { type Answer } from './reward-function';

interface Given {
  /** What a reward function or an endpoint has given. */
  readonly rewards: unknown;
  readonly answers: readonly Answer[];
  /** Who gave it: “The reward function “kindness””. */
  readonly giver: string;
}

const hint = 'It must give one finite number for each answer, in their order.';

/**
 * What was given, as numbers that PPO can learn from: [answers].
 *
 * @throws PavlovError REWARD_INVALID naming the first answer without a finite number
 */
export function rewardsOf({ rewards, answers, giver }: Given): Float32Array {
  const fail = (message: string): never => {
    throw new PavlovError({ code: 'REWARD_INVALID', message, hint });
  };
  if (!isList(rewards)) return fail(`${giver} gave ${inWords(rewards)} instead of a list of rewards.`);
  if (rewards.length !== answers.length)
    return fail(`${giver} gave ${rewards.length} rewards for ${answers.length} answers.`);
  return Float32Array.from(answers, ({ prompt }, index) => {
    const reward = rewards[index];
    // As 32 bits, as what it is learned in: 1e39 is finite in 64 only.
    if (typeof reward === 'number' && Number.isFinite(Math.fround(reward))) return reward;
    const place = `answer ${index + 1} of ${answers.length}, to the prompt “${excerpt(prompt, 60)}”`;
    return fail(`${giver} gave ${inWords(reward)} for ${place}.`);
  });
}

const isList = (value: unknown): value is ArrayLike<unknown> =>
  typeof value === 'object' && value !== null && Number.isInteger((value as ArrayLike<unknown>).length);

function inWords(value: unknown): string {
  if (typeof value === 'string') return `the text “${excerpt(value, 60)}”`;
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}

/** The beginning of a text, on one line. */
export function excerpt(text: string, length: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > length ? `${line.slice(0, length)}…` : line;
}
