import { promptsWithPairs, rankingPairWeights } from '@pavlov/algorithms';
import { PavlovError, type RankingRow } from '@pavlov/contracts';
import { asRankedCompletions } from '@pavlov/datasets';
import { type Tokenizer } from '@pavlov/tokenizer';
import { type RankingBatch } from './network';

/** One prompt with its ranked answers, as token ids. */
export interface EncodedRanking {
  readonly prompt: string;
  /** Prompt ⊕ answer ⊕ EOS, one per answer. */
  readonly sequences: readonly number[][];
  readonly ranks: readonly number[];
  /** See `labellerInfo.agreementCeiling`. */
  readonly agreementCeiling?: number;
}

/** @throws PavlovError SEQUENCE_TOO_LONG naming the row (from 1) that does not fit the context. */
export function encodeRankings(
  rows: readonly RankingRow[],
  { tokenizer, contextLength }: { tokenizer: Tokenizer; contextLength: number },
): EncodedRanking[] {
  return rows.map((row, index) => {
    const { prompt, completions, ranks, labeller } = asRankedCompletions(row);
    const promptIds = tokenizer.encodePrompt(prompt);
    const sequences = completions.map((completion) => [...promptIds, ...tokenizer.encodeCompletion(completion)]);
    const longest = Math.max(...sequences.map((sequence) => sequence.length));
    if (longest > contextLength) {
      throw new PavlovError({
        code: 'SEQUENCE_TOO_LONG',
        field: 'rankings',
        line: index + 1,
        message: `Row ${index + 1} has an answer that makes ${longest} tokens with its prompt; the context holds ${contextLength}.`,
        hint: 'Shorten or drop that row, or start from a policy with a longer context.',
      });
    }
    return { prompt, sequences, ranks, agreementCeiling: labeller?.agreementCeiling };
  });
}

/**
 * Lays rankings out for the compiled step. Missing prompts and missing answers leave rows of padding with zero weights.
 */
export function layOutRankings(
  rankings: readonly EncodedRanking[],
  { prompts, answers, columns, padId }: { prompts: number; answers: number; columns: number; padId: number },
): RankingBatch {
  const rows = prompts * answers;
  const tokens = new Int32Array(rows * columns).fill(padId);
  const last = new Float32Array(rows * columns);
  rankings.forEach(({ sequences }, prompt) =>
    sequences.forEach((sequence, answer) => {
      const start = (prompt * answers + answer) * columns;
      tokens.set(sequence, start);
      last[start + sequence.length - 1] = 1;
    }),
  );
  const ranks = rankings.map((ranking) => ranking.ranks);
  const pairWeights = new Float32Array(prompts * answers * answers);
  pairWeights.set(
    rankingPairWeights({ rankings: ranks, maxAnswers: answers, prompts: Math.max(promptsWithPairs(ranks), 1) }),
  );
  return { tokens, last, pairWeights };
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
