import { promptsWithPairs, rankingPairWeights } from '@pavlov/algorithms';
import { PavlovError, type RankingRow } from '@pavlov/contracts';
import { asRankedCompletions } from '@pavlov/datasets';
import { type Tokenizer } from '@pavlov/tokenizer';
import { type RankingBatch, type RankingShape } from './network';

/** One prompt with its ranked answers, as token ids. */
export interface EncodedRanking {
  readonly prompt: string;
  readonly completions: readonly string[];
  /** Prompt ⊕ answer ⊕ EOS, one per answer. */
  readonly sequences: readonly number[][];
  readonly ranks: readonly number[];
  /** See `labellerInfo.agreementCeiling`. */
  readonly agreementCeiling?: number;
}

/** @throws PavlovError SEQUENCE_TOO_LONG naming the row (from 1) that does not fit the context. */
export function encodeRankings(
  rows: readonly RankingRow[],
  { tokenizer, contextLength, field }: { tokenizer: Tokenizer; contextLength: number; field: string },
): EncodedRanking[] {
  return rows.map((row, index) => {
    const { prompt, completions, ranks, labeller } = asRankedCompletions(row);
    const promptIds = tokenizer.encodePrompt(prompt);
    const sequences = completions.map((completion) => [...promptIds, ...tokenizer.encodeCompletion(completion)]);
    for (const { length } of sequences) checkLength({ length, contextLength, field, line: index + 1 });
    return { prompt, completions, sequences, ranks, agreementCeiling: labeller?.agreementCeiling };
  });
}

/** @throws PavlovError SEQUENCE_TOO_LONG */
export function checkLength(row: { length: number; contextLength: number; field: string; line: number }): void {
  const { length, contextLength, field, line } = row;
  if (length <= contextLength) return;
  throw new PavlovError({
    code: 'SEQUENCE_TOO_LONG',
    field,
    line,
    message: `Row ${line} of \`${field}\` has an answer that makes ${length} tokens with its prompt; the context holds ${contextLength}.`,
    hint: 'Shorten or drop that row, or start from a policy with a longer context.',
  });
}

/**
 * Lays rankings out for the compiled step. Missing prompts and missing answers leave rows of padding with zero weights.
 */
export function layOutRankings(
  rankings: readonly Pick<EncodedRanking, 'sequences' | 'ranks'>[],
  { prompts, answers, columns, padId }: RankingShape & { padId: number },
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

export function tokensOf(rankings: readonly EncodedRanking[]): number {
  let tokens = 0;
  for (const { sequences } of rankings) for (const { length } of sequences) tokens += length;
  return tokens;
}
