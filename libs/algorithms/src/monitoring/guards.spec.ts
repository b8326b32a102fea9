import { createGuards, type GuardObservation } from './guards';

const limits = { kl: 100, entropy: 1e-4, equalRewards: 3 };
const sound: GuardObservation = { iteration: 4, kl: 7, entropy: 0.8, scores: Float32Array.of(0.1, 0.2, -1) };
const check = (change: Partial<GuardObservation>) => createGuards(limits).check({ ...sound, ...change });

describe('guards', () => {
  it('let a sound run pass, up to its limits', () => {
    expect(check({})).toBeUndefined();
    expect(check({ kl: 100, entropy: 1e-4 })).toBeUndefined();
    expect(check({ kl: -0.3 })).toBeUndefined();
  });

  it('stop at a KL above the limit', () => {
    expect(check({ kl: 100.1 })).toEqual({
      code: 'KL_EXPLODED',
      quantity: 'kl',
      value: 100.1,
      limit: 100,
      message: 'In iteration 4 the policy is 100 nats per answer away from the reference; the limit is 100.',
      hint: expect.stringContaining('klCoefficient'),
    });
  });

  it('stop at an entropy that has fallen below the limit, and never with a limit of 0', () => {
    const guards = createGuards(limits);
    expect(guards.check(sound)).toBeUndefined();
    expect(guards.check({ ...sound, entropy: 9e-5 })).toMatchObject({
      code: 'ENTROPY_COLLAPSED',
      quantity: 'entropy',
      value: 9e-5,
      limit: 1e-4,
      message: expect.stringContaining('0.00009 nats per token'),
    });
    const unlimited = createGuards({ ...limits, entropy: 0 });
    expect(unlimited.check(sound)).toBeUndefined();
    expect(unlimited.check({ ...sound, entropy: 0 })).toBeUndefined();
  });

  it('let a policy be that has said one thing from the start', () => {
    const guards = createGuards(limits);
    for (const entropy of [1e-6, 2e-6, 0]) expect(guards.check({ ...sound, entropy })).toBeUndefined();
  });

  it.each([
    [{ kl: NaN }, 'kl', 'kl is NaN at step 4'],
    [{ entropy: Infinity }, 'entropy', 'entropy is Infinity at step 4'],
    [{ scores: [1, -Infinity] }, 'score of answer 1', 'score of answer 1 is -Infinity at step 4'],
  ])('stop at a number that is none: %p', (change, quantity, words) => {
    expect(check(change)).toMatchObject({ code: 'NON_FINITE', quantity, message: expect.stringContaining(words) });
  });

  describe('on equal rewards', () => {
    const trace = (batches: readonly (readonly number[])[], equalRewards = 3): (string | undefined)[] => {
      const guards = createGuards({ ...limits, equalRewards });
      return batches.map((scores, iteration) => guards.check({ ...sound, iteration, scores })?.code);
    };
    const equal = [-1, -1, -1];

    it('stop after so many iterations in a row', () => {
      expect(trace([equal, equal, equal])).toEqual([undefined, undefined, 'REWARDS_EQUAL']);
      expect(trace([equal, equal, [-1, -1, -0.999], equal, equal])).toEqual(new Array(5).fill(undefined));
      expect(trace([equal], 1)).toEqual(['REWARDS_EQUAL']);
      // Each batch counts by itself: 0 throughout, then 1 throughout, is no preference either.
      expect(
        trace([
          [0, 0],
          [1, 1],
          [2, 2],
        ]),
      ).toEqual([undefined, undefined, 'REWARDS_EQUAL']);
    });

    it('say the score that all have', () => {
      const guards = createGuards({ ...limits, equalRewards: 1 });
      expect(guards.check({ ...sound, scores: equal })).toMatchObject({
        value: -1,
        limit: 1,
        message: 'In one iteration every answer scored -1, so there is nothing to learn from.',
        hint: expect.stringContaining('missingEosReward'),
      });
    });

    it('find nothing equal in a batch of one', () => {
      expect(trace([[1], [1], [1], [1]])).toEqual(new Array(4).fill(undefined));
    });
  });

  it('name the KL first when several things broke', () => {
    expect(check({ kl: 1e6, entropy: 0 })?.code).toBe('KL_EXPLODED');
  });
});
