import { PavlovError } from '@pavlov/contracts';
import { gradeResponse, words } from '@pavlov/datasets';
import { type Answer, type RewardFunction, type RewardFunctions } from './reward-function';

/**
 * The utility of the demo world's oracle: 1.5 for a right answer, 1 for a polite one, 2.5 for both. With the true
 * reward known, PPO can be held against what it ought to reach.
 *
 * @throws PavlovError MISSING_INPUT for a prompt without `answer` and `category`, DATASET_INVALID_ROW for one that is
 *   not of the demo world
 */
const demoWorld: RewardFunction = (answers) => answers.map((answer, index) => utility(answer, index));

function utility(answer: Answer, index: number): number {
  try {
    return gradeResponse('demo-world', answer).utility;
  } catch (error) {
    const { body } = PavlovError.from(error);
    const message = `The reward function “demo-world” cannot grade answer ${index + 1}: ${body.message}`;
    throw new PavlovError({ ...body, message, field: 'prompts' }, { cause: error });
  }
}

/** Minus the number of words, so that its weight is the price of a word. An empty answer gets 0. */
const brevity: RewardFunction = (answers) => answers.map(({ response }) => 0 - words(response).length);

/**
 * Minus the share of neighbouring word pairs that the answer has said before, 0 to −1: what an answer gets that goes
 * round in circles. Fewer than two words repeat nothing.
 *
 * Reference: seq-rep-n of Welleck et al. 2020 (arXiv 1908.04319), with n = 2, for answers are short here; negated.
 */
const variety: RewardFunction = (answers) =>
  answers.map(({ response }) => {
    const said = words(response);
    const pairs = said.slice(1).map((word, index) => `${said[index]} ${word}`);
    return pairs.length === 0 ? 0 : new Set(pairs).size / pairs.length - 1;
  });

const described = (description: string, reward: RewardFunction): RewardFunction =>
  Object.assign(reward, { description });

/** Reward functions that are always there. */
export const builtInRewards: RewardFunctions = new Map([
  [
    'demo-world',
    described('The known truth of the demo world: 1.5 for a right answer and 1 for a polite one.', demoWorld),
  ],
  ['brevity', described('Minus the number of words: its weight is the price of a word.', brevity)],
  ['variety', described('Minus the share of word pairs that the answer has said before: 0 to −1.', variety)],
]);
