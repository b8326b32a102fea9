import { type PavlovError } from '@pavlov/contracts';
import { builtInRewards } from './built-in';
import { openReward } from './reward';
import { type Answer } from './reward-function';

const answered = (response: string, row: Partial<Answer> = {}): Answer => ({
  prompt: 'What is the colour of the sky?',
  response,
  finished: true,
  ...row,
});
const score = (name: string, answers: readonly Answer[]) =>
  openReward({ kind: 'function', name }, builtInRewards).score(answers);

describe('demo-world', () => {
  const row = { answer: 'blue', category: 'colours' };

  it('gives the utility of the oracle', async () => {
    const responses = ['Of course. The sky is blue. Have a lovely day.', 'blue', 'Gladly. The sky is red.', 'red'];
    const rewards = await score(
      'demo-world',
      responses.map((response) => answered(response, row)),
    );
    expect([...rewards]).toEqual([2.5, 1.5, 1, 0]);
  });

  it('refuses, by its number, an answer whose prompt has no truth or another world’s', async () => {
    const refusal = async (...answers: Answer[]) =>
      score('demo-world', answers).catch((error: PavlovError) => error.body);
    const missing = await refusal(answered('blue', row), answered('blue'));
    expect(missing).toMatchObject({ code: 'MISSING_INPUT', field: 'prompts' });
    expect(missing).toMatchObject({ message: expect.stringContaining('cannot grade answer 2: ') });
    const foreign = await refusal(answered('blue', { answer: 'me', category: 'riddles' }));
    expect(foreign).toMatchObject({ code: 'DATASET_INVALID_ROW', message: expect.stringContaining('“riddles”') });
  });
});

describe('brevity', () => {
  it('is minus the number of words', async () => {
    const rewards = await score(
      'brevity',
      ['', 'Blue.', 'The sky is blue, is it not?'].map((text) => answered(text)),
    );
    expect([...rewards]).toEqual([0, -1, -7]);
  });
});

describe('variety', () => {
  it('is minus the share of word pairs that were said before', async () => {
    const texts = ['', 'Blue', 'The sky is blue.', 'la la la la la', 'go on, go on, go away'];
    // 4 pairs of which 3 repeat; of “go on, on go, go on, on go, go away” 2 of 5 do.
    const expected = [0, 0, 0, -3 / 4, -2 / 5];
    const rewards = await score(
      'variety',
      texts.map((text) => answered(text)),
    );
    expect([...rewards]).toEqual(expected.map(Math.fround));
  });
});
