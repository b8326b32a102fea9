import { type RewardFunctionInfo } from '@pavlov/contracts';

/** An answer of the policy, and the prompt that it answers. */
export interface Answer {
  readonly prompt: string;
  /** The text of the answer, without special tokens. */
  readonly response: string;
  /** Whether the answer ended by itself, with the end-of-sequence token. */
  readonly finished: boolean;
  /** The right answer and its category, where the prompt's row gives them. */
  readonly answer?: string;
  readonly category?: string;
}

/**
 * Rewards of answers: one finite number for each, in their order. It gets all answers of an iteration at once.
 *
 * The same answers should get the same rewards, or the same seed will not give the same policy.
 */
export interface RewardFunction {
  (answers: readonly Answer[]): ArrayLike<number> | Promise<ArrayLike<number>>;
  /** What it rewards, in a sentence; `GET /v1/reward-functions` shows it. */
  description?: string;
}

/** Reward functions by the names that configs call them by. */
export type RewardFunctions = ReadonlyMap<string, RewardFunction>;

/** What there is to choose from, in words. */
export const describeRewardFunctions = (functions: RewardFunctions): RewardFunctionInfo[] =>
  [...functions].map(([name, { description }]) => ({
    name,
    ...(typeof description === 'string' ? { description } : {}),
  }));
