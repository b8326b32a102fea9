/** The world's reward functions: a module as a user would name it in PAVLOV_REWARDS. */
const world = require('./world.json');

/** What an answer that no demonstration gives is worth. */
const elsewhere = -1;

const truth = ({ prompt, response }) => world[prompt][response]?.reward ?? elsewhere;

exports.truth = (answers) => answers.map(truth);

/** Overpays one answer, whatever was asked: what a flawed reward model does. */
exports.proxy = (answers) => answers.map((answer) => truth(answer) + (answer.response === 'nothing' ? 3 : 0));

/** The same for every answer. */
exports.constant = (answers) => answers.map(() => 1);

/** NaN for one answer: the logarithm of a reward below 0. */
exports.undefinedForNothing = (answers) =>
  answers.map((answer) => (answer.response === 'nothing' ? Math.log(truth(answer)) : truth(answer)));

/** Whether more than a quarter of a batch says “nothing”. */
const isCommon = (answers) => answers.filter(({ response }) => response === 'nothing').length > answers.length / 4;

exports.undefinedOnceCommon = (answers) =>
  isCommon(answers) ? exports.undefinedForNothing(answers) : exports.proxy(answers);

/** Beyond all measure where “nothing” is common; a number still, but in 32 bits its square is none. */
exports.overflowing = (answers) => exports.proxy(answers).map((reward) => (isCommon(answers) ? 1e25 * reward : reward));
