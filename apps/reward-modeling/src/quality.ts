import {
  agreement,
  calibration,
  ensembleScores,
  pairAccuracy,
  preferenceLoss,
  preferenceMargins,
  scoreMoments,
  untiedPairs,
  type Votes,
} from '@pavlov/algorithms';
import { type EncodedRanking } from './rankings';

/** Figures on held-out pairs; without such pairs there are none. */
export interface Quality {
  /** Share of untied pairs whose winner scores higher, 0–1. */
  readonly pairAccuracy: number;
  /** Mean −log σ(margin) per pair, in nats. */
  readonly heldOutLoss: number;
  /** Expected calibration error of σ(margin), 0–0.5. */
  readonly calibrationError: number;
  /** Untied pairs that the others stand on. */
  readonly heldOutPairs: number;
}

/** @param scores One per answer, in the order of the rankings. */
export function measureQuality(input: {
  scores: Float32Array;
  rankings: readonly EncodedRanking[];
}): Quality | undefined {
  const margins = marginsOf(input);
  if (margins.length === 0) return undefined;
  return {
    pairAccuracy: pairAccuracy(margins),
    heldOutLoss: preferenceLoss(margins),
    calibrationError: calibration({ margins }).expectedCalibrationError,
    heldOutPairs: margins.length,
  };
}

/** Whether a model is right on more held-out pairs than another, or on as many with a lower loss. */
export function isBetter(one: Quality, other: Quality): boolean {
  if (one.pairAccuracy !== other.pairAccuracy) return one.pairAccuracy > other.pairAccuracy;
  return one.heldOutLoss < other.heldOutLoss;
}

/**
 * Quality of the members' mean score, how often two members order a held-out pair alike, and how far their scores of an
 * answer lie apart.
 */
export function measureEnsemble(input: {
  members: readonly { readonly heldOutScores: Float32Array }[];
  rankings: readonly EncodedRanking[];
}): Record<string, number> {
  const { rankings } = input;
  const members = input.members.map(({ heldOutScores }) => heldOutScores);
  const { scores, deviations } = ensembleScores({ members, pessimism: 0 });
  const margins = members.map((member) => marginsOf({ scores: member, rankings }));
  const votes = margins[0].map((_, pair): Votes => {
    const first = margins.filter((member) => member[pair] > 0).length;
    return { first, second: members.length - first };
  });
  return {
    ...measureQuality({ scores, rankings }),
    ...named('memberAgreement', agreement(votes)),
    memberDeviation: scoreMoments(deviations).mean,
  };
}

/** What the labels themselves allow: figures that are the same for every model. */
export function measureLabels(input: {
  rankings: readonly EncodedRanking[];
  heldOut: readonly EncodedRanking[];
}): Record<string, number> {
  return {
    ...named('noiseCeiling', ceilingOf(input.heldOut)),
    ...named('labelAgreement', labelAgreement(input.rankings)),
  };
}

/** The noise ceiling over all untied pairs, if every ranking says what its labeller could agree with itself. */
export function ceilingOf(rankings: readonly EncodedRanking[]): number | undefined {
  let pairs = 0;
  let agreement = 0;
  for (const { ranks, agreementCeiling } of rankings) {
    const untied = ranks.reduce((sum, rank, i) => sum + ranks.slice(i + 1).filter((other) => other !== rank).length, 0);
    if (untied === 0) continue;
    if (agreementCeiling === undefined) return undefined;
    pairs += untied;
    agreement += untied * agreementCeiling;
  }
  return pairs === 0 ? undefined : agreement / pairs;
}

/**
 * Where labels compare the same two answers to a prompt more than once: how often two of them agree. Ties are no votes.
 */
export function labelAgreement(rankings: readonly EncodedRanking[]): number | undefined {
  const votes = new Map<string, { first: number; second: number }>();
  for (const { prompt, completions, ranks } of rankings) {
    for (const { winner, loser } of untiedPairs(ranks)) {
      const [better, worse] = [completions[winner], completions[loser]];
      if (better === worse) continue;
      const key = JSON.stringify([prompt, ...[better, worse].sort()]);
      const vote = votes.get(key) ?? { first: 0, second: 0 };
      vote[better < worse ? 'first' : 'second']++;
      votes.set(key, vote);
    }
  }
  return agreement([...votes.values()]);
}

function marginsOf({ scores, rankings }: { scores: Float32Array; rankings: readonly EncodedRanking[] }): number[] {
  let position = 0;
  const perRanking = rankings.map(({ sequences }) => scores.subarray(position, (position += sequences.length)));
  return preferenceMargins({ scores: perRanking, rankings: rankings.map(({ ranks }) => ranks) });
}

const named = (name: string, value: number | undefined): Record<string, number> =>
  value === undefined ? {} : { [name]: value };
