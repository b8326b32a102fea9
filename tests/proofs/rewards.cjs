/** The world's reward functions: a module as a user would name it in PAVLOV_REWARDS. */
const world = require('./world.json');

/** What an answer that no demonstration gives is worth. */
const elsewhere = -1;

const truth = ({ prompt, response }) => world[prompt][response]?.reward ?? elsewhere;

exports.truth = (answers) => answers.map(truth);

/** Overpays one answer, whatever was asked: what a flawed reward model does. */
exports.proxy = (answers) => answers.map((answer) => truth(answer) + (answer.response === 'nothing' ? 3 : 0));
