// Reward functions of your own: start the ppo service with PAVLOV_REWARDS=examples/rewards/courtesy.mjs.
// Each gets all answers of an iteration at once and gives one number for each.

/** @type {import('@pavlov/rewards').RewardFunction} */
export const courtesy = (answers) =>
  answers.map(({ response }) => (/\b(please|thanks|thank you|welcome)\b/i.test(response) ? 1 : 0));
courtesy.description = '1 for an answer with a word of courtesy.';

/** Needs prompts whose rows have an `answer`. @type {import('@pavlov/rewards').RewardFunction} */
export const saysTheAnswer = (answers) =>
  answers.map(({ prompt, response, answer }) => {
    if (answer === undefined) throw new Error(`the prompt “${prompt}” has no answer`);
    return response.toLowerCase().includes(answer.toLowerCase()) ? 1 : 0;
  });
saysTheAnswer.description = '1 for an answer in which the right one stands.';
