import { sharedLength } from '../check';
import { assertFinite } from '../health';
import { type Numbers } from '../rollouts/grid';
import { duplicateShare } from './duplicates';

/** What one PPO iteration shows of its B answers. */
export interface MonitorObservation {
  /** Counted from 0. */
  readonly iteration: number;
  /** Mean over answers of Σ_t log π − log π_ref, nats. An estimate: it may lie below 0. */
  readonly kl: number;
  /** Mean −log π of the sampled tokens, nats per token. */
  readonly entropy: number;
  /**
   * The reward's score of each answer as it stands, B: before answers without EOS get another. The held-out judge knows
   * no such rule either, and a policy that merely learns to end would seem to earn a better score.
   */
  readonly scores: Numbers;
  /** Which prompt each answer is to, B: its row in the dataset. */
  readonly prompts: Numbers;
  /** Tokens of each answer, EOS included, B lists. */
  readonly responses: readonly Numbers[];
  /** Whether each answer ended in EOS, B. */
  readonly finished: readonly boolean[];
  /** Scores of the same answers by a judge that is not trained on, B; in the iterations in which it looks. */
  readonly heldOutScores?: Numbers;
}

/** The same in figures. */
export interface Summary {
  readonly iteration: number;
  /** B. */
  readonly answers: number;
  /** √KL; 0 where noise put the estimate below 0. */
  readonly rootKl: number;
  readonly entropy: number;
  readonly proxy: number;
  readonly proxyDeviation: number;
  /** Mean tokens per answer. */
  readonly length: number;
  /** Share of answers that are also given to a different prompt. */
  readonly duplicates: number;
  /** Share of answers that ended in EOS. */
  readonly finished: number;
  readonly heldOut: MeanAndDeviation | undefined;
}

interface MeanAndDeviation {
  readonly mean: number;
  readonly deviation: number;
}

/** @throws NonFiniteError for a figure that is NaN or infinite: it would spoil every mean that it enters. */
export function summarise(observation: MonitorObservation): Summary {
  const { iteration, kl, entropy, scores, prompts, responses, finished, heldOutScores } = observation;
  const answers = sharedLength({ scores, prompts, responses, finished, ...(heldOutScores && { heldOutScores }) });
  const proxy = meanAndDeviation(scores);
  const heldOut = heldOutScores && meanAndDeviation(heldOutScores);
  assertFinite({
    step: iteration,
    quantities: { kl, entropy, 'mean score': proxy.mean, ...(heldOut && { 'mean held-out score': heldOut.mean }) },
  });
  return {
    iteration,
    answers,
    rootKl: Math.sqrt(Math.max(0, kl)),
    entropy,
    proxy: proxy.mean,
    proxyDeviation: proxy.deviation,
    length: responses.reduce((sum, response) => sum + response.length, 0) / answers,
    duplicates: duplicateShare({ prompts, responses }),
    finished: finished.filter(Boolean).length / answers,
    heldOut,
  };
}

function meanAndDeviation(values: Numbers): MeanAndDeviation {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  const mean = sum / values.length;
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i] - mean) ** 2;
  return { mean, deviation: Math.sqrt(squares / values.length) };
}
