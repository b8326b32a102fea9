import {
  adaptiveKl,
  adaptiveKlOverHorizon,
  generalisedAdvantages,
  klEstimators,
  scoreUnfinished,
  tokenRewards,
  whiten,
  whitenKeepingMean,
  type KlController,
} from '@pavlov/algorithms';
import { installMatchers, tolerances } from '@pavlov/testing';
import { readFixture } from './fixture';

installMatchers();

const fixture = readFixture<{
  rows: number;
  mask: number[];
  gae: {
    gamma: number;
    lambda: number;
    rewards: number[];
    values: number[];
    advantages: number[];
    returns: number[];
  }[];
  whitening: { scale: number; values: number[]; whitened: number[]; keepingMean: number[] }[];
  kl: { logprobs: number[]; referenceLogprobs: number[]; k1: number[]; k2: number[]; k3: number[] };
  rewards: { scores: number[]; finished: boolean[]; penalty: number; coefficient: number; tokens: number[] };
  controller: {
    kls: number[];
    target: number;
    horizon: number;
    episodes: number;
    paper: number[];
    code: number[];
  };
}>('rollouts');
const { rows, mask } = fixture;

describe('generalised advantages', () => {
  it.each(fixture.gae)('are the sums of equation 16, γ = $gamma, λ = $lambda', ({ advantages, returns, ...given }) => {
    const actual = generalisedAdvantages({ ...given, mask, rows });
    expect(actual.advantages).toBeAllClose(advantages, tolerances.rounded);
    expect(actual.returns).toBeAllClose(returns, tolerances.rounded);
  });
});

describe.each(fixture.whitening)('whitening, spread $scale', ({ values, whitened, keepingMean }) => {
  it('centres, and divides by the biased deviation', () => {
    expect(whiten({ values, mask })).toBeAllClose(whitened, tolerances.rounded);
  });
  it('keeps the mean of rewards', () => {
    expect(whitenKeepingMean({ values, mask })).toBeAllClose(keepingMean, tolerances.rounded);
  });
});

describe('KL estimators and shaped rewards', () => {
  const { logprobs, referenceLogprobs } = fixture.kl;
  it.each(['k1', 'k2', 'k3'] as const)('%s', (name) => {
    expect(klEstimators[name]({ logprobs, referenceLogprobs })).toBeAllClose(fixture.kl[name], tolerances.rounded);
  });

  it('makes −β · KL of every token, with the score on the last one', () => {
    const { finished, penalty, coefficient, tokens } = fixture.rewards;
    const scores = scoreUnfinished({ scores: fixture.rewards.scores, finished, penalty });
    const kl = klEstimators.k1({ logprobs, referenceLogprobs });
    expect(tokenRewards({ kl, mask, scores, coefficient })).toBeAllClose(tokens, tolerances.rounded);
  });
});

describe('the adaptive KL controller over fifty updates', () => {
  const { kls, target, horizon, episodes, paper, code } = fixture.controller;
  const path = (next: KlController): number[] =>
    kls.reduce((coefficients, kl) => [...coefficients, next({ coefficient: coefficients.at(-1)!, kl })], [paper[0]]);

  it('has the pace of the paper, per update', () => {
    expect(path(adaptiveKl({ target }))).toBeAllClose(paper, tolerances.double);
  });
  it('has the pace of its code, per episode', () => {
    expect(path(adaptiveKlOverHorizon({ target, horizon, episodes }))).toBeAllClose(code, tolerances.double);
  });
});
