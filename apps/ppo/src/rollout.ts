import {
  klEstimators,
  klK1,
  generalisedAdvantages,
  scoreUnfinished,
  tokenRewards,
  whiten,
  whitenKeepingMean,
} from '@pavlov/algorithms';
import { type PpoConfig } from '@pavlov/contracts';
import { type Generation } from '@pavlov/model';
import { type Answer } from '@pavlov/rewards';
import { type Tokenizer } from '@pavlov/tokenizer';
import { type EncodedPrompt } from './prompts';

/** B episodes on a grid of T columns, flat and row-major. Column t predicts token t + 1 of its row. */
export interface Episodes {
  readonly rows: number;
  readonly columns: number;
  /** Prompt ⊕ response, right-padded, [B, T]. */
  readonly tokens: Int32Array;
  /** The next token of each column, [B, T]. */
  readonly targets: Int32Array;
  /** 1 where the target is a token of the response, [B, T]. */
  readonly mask: Float32Array;
  /** Prompt ⊕ response of each row, unpadded. */
  readonly sequences: readonly number[][];
  /** Whether the response ended in EOS, B. */
  readonly finished: readonly boolean[];
}

/** Lays prompts and responses out on a grid. */
export function layOutEpisodes(input: {
  prompts: readonly number[][];
  generation: Pick<Generation, 'responses' | 'finished'>;
  columns: number;
  padId: number;
}): Episodes {
  const { prompts, generation, columns, padId } = input;
  const rows = prompts.length;
  const tokens = new Int32Array(rows * columns).fill(padId);
  const targets = new Int32Array(rows * columns).fill(padId);
  const mask = new Float32Array(rows * columns);
  const sequences = prompts.map((prompt, row) => [...prompt, ...generation.responses[row]]);
  sequences.forEach((sequence, row) => {
    if (sequence.length > columns)
      throw new RangeError(`an episode of ${sequence.length} tokens does not fit ${columns} columns`);
    const start = row * columns;
    tokens.set(sequence, start);
    targets.set(sequence.slice(1), start);
    mask.fill(1, start + prompts[row].length - 1, start + sequence.length - 1);
  });
  return { rows, columns, tokens, targets, mask, sequences, finished: generation.finished };
}

/** The responses as text, with what their prompts' rows say. */
export function answersOf(input: {
  drawn: readonly EncodedPrompt[];
  generation: Pick<Generation, 'responses' | 'finished'>;
  tokenizer: Pick<Tokenizer, 'decode'>;
}): Answer[] {
  const { drawn, generation, tokenizer } = input;
  return drawn.map(({ row }, index) => ({
    ...row,
    response: tokenizer.decode(generation.responses[index], { skipSpecialTokens: true }).trim(),
    finished: generation.finished[index],
  }));
}

/** What a batch of episodes is worth, token by token; flat [B, T] but for the scores. */
export interface Experience {
  /** log π when the tokens were sampled, at the sampling temperature. */
  readonly logprobs: Float32Array;
  /** log π − log π_ref of each token, in nats: summed over an answer, an unbiased estimate of its KL. */
  readonly kl: Float32Array;
  /** The configured estimate of the KL, which is what β is paid on. */
  readonly penalty: Float32Array;
  readonly values: Float32Array;
  readonly advantages: Float32Array;
  readonly returns: Float32Array;
  /** Reward-model score of each response, or what an unfinished one gets instead, [B]. */
  readonly scores: Float32Array;
}

type ExperienceConfig = Pick<
  PpoConfig,
  'klEstimator' | 'missingEosReward' | 'whitenRewards' | 'whitenAdvantages' | 'gamma' | 'lambda'
>;

/**
 * Turns scores into advantages:
 * 1. per-token KL to the reference, 2. the score of a response without EOS replaced, 3. reward per token: −β·KL, with the
 * score on the last one, 4. rewards whitened if asked for, 5. GAE, 6. advantages whitened.
 */
export function estimateAdvantages(
  episodes: Pick<Episodes, 'rows' | 'mask' | 'finished'>,
  measured: { logprobs: Float32Array; referenceLogprobs: Float32Array; values: Float32Array; scores: Float32Array },
  config: ExperienceConfig & { klCoefficient: number },
): Experience {
  const { rows, mask, finished } = episodes;
  const { logprobs, referenceLogprobs, values } = measured;
  const penalty = klEstimators[config.klEstimator]({ logprobs, referenceLogprobs }); // 1
  const scores =
    config.missingEosReward === null
      ? measured.scores
      : scoreUnfinished({ scores: measured.scores, finished, penalty: config.missingEosReward }); // 2
  const raw = tokenRewards({ kl: penalty, mask, scores, coefficient: config.klCoefficient }); // 3
  const rewards = config.whitenRewards ? whitenKeepingMean({ values: raw, mask }) : raw; // 4
  const { advantages, returns } = generalisedAdvantages({
    rewards,
    values,
    mask,
    rows,
    gamma: config.gamma,
    lambda: config.lambda,
  }); // 5
  return {
    logprobs,
    kl: klK1({ logprobs, referenceLogprobs }),
    penalty,
    values,
    scores,
    returns,
    advantages: config.whitenAdvantages ? whiten({ values: advantages, mask }) : advantages,
  }; // 6
}

/** Copies rows out of flat [B, T] arrays, in the order given. */
export function takeRows<A extends Float32Array | Int32Array>(
  values: A,
  { rows, columns }: { rows: readonly number[]; columns: number },
): A {
  const taken =
    values instanceof Int32Array ? new Int32Array(rows.length * columns) : new Float32Array(rows.length * columns);
  rows.forEach((row, index) => taken.set(values.subarray(row * columns, (row + 1) * columns), index * columns));
  return taken as A;
}
