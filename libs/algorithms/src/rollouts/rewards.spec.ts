import { expectAllClose, GARBAGE, TOLERANCE, withGarbage } from '../spec-support';
import { scoreUnfinished, tokenRewards } from './rewards';

describe('tokenRewards', () => {
  it('gives the hand-worked values: −β·KL everywhere, the score on the last real token', () => {
    // β = 0.1. Row 1 has three tokens, row 2 one.
    // Row 1: −0.05, 0.02, 2 − 0.03 = 1.97. Row 2: −1 − 0.1 · 4 = −1.4.
    const rewards = tokenRewards({
      kl: [0.5, -0.2, 0.3, 9, 4, 9, 9, 9],
      mask: [1, 1, 1, 0, 1, 0, 0, 0],
      scores: [2, -1],
      coefficient: 0.1,
    });
    expectAllClose(rewards, [-0.05, 0.02, 1.97, 0, -1.4, 0, 0, 0], TOLERANCE.storedFloat);
  });

  it('gives the same rewards wherever on the grid the response lies', () => {
    const rewards = tokenRewards({ kl: [9, 9, 0.5, 0.25], mask: [0, 0, 1, 1], scores: [1], coefficient: 1 });
    expect([...rewards]).toEqual([0, 0, -0.5, 0.75]);
  });

  it.each(GARBAGE)('does not read a masked %p', (garbage) => {
    const mask = [0, 1, 1, 0];
    const kl = withGarbage([0, 0.5, 0.25, 0], mask, garbage);
    expect([...tokenRewards({ kl, mask, scores: [3], coefficient: 1 })]).toEqual([0, -0.5, 2.75, 0]);
  });

  it('refuses a response without a token: its score would be lost', () => {
    expect(() => tokenRewards({ kl: [0, 0], mask: [1, 0], scores: [1, 2], coefficient: 1 })).toThrow(
      'response 1 has no real token',
    );
  });
});

describe('scoreUnfinished', () => {
  it('scores −1 without EOS, however good the text was', () => {
    expect([...scoreUnfinished({ scores: [3, 5, -4], finished: [true, false, false] })]).toEqual([3, -1, -1]);
    expect([...scoreUnfinished({ scores: [3, 5], finished: [true, false], penalty: -2 })]).toEqual([3, -2]);
  });
});
