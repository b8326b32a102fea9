import { PavlovError } from '@pavlov/contracts';
import { namesOf, nameOf, openReward } from './reward';
import { type Answer, type RewardFunction } from './reward-function';

const answers: Answer[] = ['a', 'b', 'c'].map((response) => ({
  prompt: `What of ${response}?`,
  response,
  finished: true,
}));

const scoreBy = (reward: RewardFunction | (() => unknown)) =>
  openReward({ kind: 'function', name: 'mine' }, new Map([['mine', reward as RewardFunction]])).score(answers);
const refusalOf = async (reward: () => unknown) => {
  const error: unknown = await scoreBy(reward).catch((thrown: unknown) => thrown);
  if (error instanceof PavlovError) return { ...error.body, retryable: error.retryable };
  throw new Error(`it was accepted: ${String(error)}`);
};

describe('a reward function', () => {
  it('gets all answers at once and gives one reward for each', async () => {
    const seen: unknown[] = [];
    const rewards = await scoreBy((given) => {
      seen.push(given);
      return given.map(({ response }) => response.charCodeAt(0) / 2);
    });
    expect(seen).toEqual([answers]);
    expect(rewards).toEqual(Float32Array.of(48.5, 49, 49.5));
  });

  it('may be asynchronous, and may give any list of numbers', async () => {
    expect(await scoreBy(async () => Float64Array.of(1, 2, 3))).toEqual(Float32Array.of(1, 2, 3));
  });

  it.each<[string, unknown, string]>([
    ['too few', [1, 2], '2 rewards for 3 answers'],
    ['too many', [1, 2, 3, 4], '4 rewards for 3 answers'],
    ['NaN', [1, Number.NaN, 3], 'gave NaN for answer 2 of 3, to the prompt “What of b?”'],
    ['infinity', [1, 2, -Infinity], 'gave -Infinity for answer 3 of 3'],
    ['what is infinite in 32 bits', [1e39, 2, 3], 'gave 1e+39 for answer 1 of 3'],
    ['null', [1, null, 3], 'gave null for answer 2 of 3'],
    ['a hole', [1, , 3], 'gave undefined for answer 2 of 3'],
    ['texts', ['1', '2', '3'], 'gave the text “1” for answer 1 of 3'],
    ['lists', [[1], [2], [3]], 'gave a list for answer 1 of 3'],
    ['big integers', [1n, 2n, 3n], 'gave 1 for answer 1 of 3'],
    ['one number', 1, 'gave 1 instead of a list'],
    ['a text', 'abc', 'gave the text “abc” instead of a list'],
    ['nothing', undefined, 'gave undefined instead of a list'],
    ['an object', { rewards: [1, 2, 3] }, 'gave an object instead of a list'],
  ])('is refused when it gives %s', async (_what, given, message) => {
    const body = await refusalOf(() => given);
    expect(body).toMatchObject({ code: 'REWARD_INVALID', retryable: false });
    expect(body.message).toContain('The reward function “mine” ');
    expect(body.message).toContain(message);
  });

  it.each([
    ['throws', () => { throw new TypeError('x is not defined'); }], // prettier-ignore
    ['rejects', () => Promise.reject(new TypeError('x is not defined'))],
  ])('is named when it %s', async (_how, reward) => {
    expect(await refusalOf(reward)).toMatchObject({
      code: 'REWARD_INVALID',
      message: 'The reward function “mine” failed: x is not defined',
    });
  });

  it('cannot change the answers, nor their order', async () => {
    const sorts = (given: readonly Answer[]) => (given as Answer[]).reverse().map(() => 1);
    const rewrites = (given: readonly Answer[]) =>
      given.map((answer) => ((answer as { response: string }).response = '').length);
    for (const reward of [sorts, rewrites])
      expect(await refusalOf(reward as () => unknown)).toMatchObject({ message: expect.stringContaining('read only') });
    expect(answers.map(({ response }) => response)).toEqual(['a', 'b', 'c']);
  });

  it('that nobody has is refused with the names there are', () => {
    const functions = new Map([
      ['kindness', () => []],
      ['wit', () => []],
    ]);
    expect(() => openReward({ kind: 'function', name: 'mine' }, functions)).toThrow(
      expect.objectContaining({
        body: expect.objectContaining({
          code: 'UNKNOWN_REWARD_FUNCTION',
          hint: expect.stringContaining('kindness, wit.'),
        }),
      }),
    );
  });
});

describe('names of rewards', () => {
  const http = (url: string) => ({ kind: 'http', url, timeoutSeconds: 30, retries: 3 }) as const;

  it('are the function’s, or the host', () => {
    expect(nameOf({ kind: 'function', name: 'brevity' })).toBe('brevity');
    expect(nameOf(http('http://judge.example:8000/score?key=1'))).toBe('judge.example:8000');
  });

  it('differ where there are several', () => {
    const sources = ['http://a.example/1', 'http://b.example/', 'http://a.example/2', 'http://a.example/3'].map(http);
    expect(namesOf(sources)).toEqual(['a.example', 'b.example', 'a.example-2', 'a.example-3']);
  });
});
