import { type DatasetManifest } from '@pavlov/contracts';
import { type Problem } from '../http/bad-request';
import { type DatasetRowsReader, type LongestRow, type MeasuredKind } from './dataset-rows';
import { type Facts, isOf, type ModelFacts } from './facts';
import { type PlannedJob } from './plan';

/** Sequences that have to fit the contexts of some models. */
interface Sequences {
  readonly field: string;
  readonly dataset: string;
  readonly kind: MeasuredKind;
  /** Tokens to be sampled after each row. */
  readonly newTokens: number;
  /** Only the first so many rows are used. */
  readonly limit?: number;
  readonly models: readonly string[];
}

const given = (ids: readonly (string | undefined)[]): string[] => ids.filter((id) => id !== undefined);

/** Text is cut to the context and always fits; every other row is one sequence. */
function sequencesOf({ payload }: PlannedJob): Sequences[] {
  if (isOf(payload, 'sft')) {
    const { dataset, policy } = payload.config;
    return [{ field: 'dataset', dataset, kind: 'demonstrations', newTokens: 0, models: [policy] }];
  }
  if (isOf(payload, 'feedback')) {
    const { prompts, policy, maxNewTokens, labeller } = payload.config;
    if (labeller.kind === 'import' || prompts === undefined) return [];
    return [{ field: 'prompts', dataset: prompts, kind: 'prompts', newTokens: maxNewTokens, models: given([policy]) }];
  }
  if (isOf(payload, 'reward-modeling')) {
    const { rankings, demonstrations, policy } = payload.config;
    const common = { newTokens: 0, models: [policy] };
    return [
      { ...common, field: 'rankings', dataset: rankings, kind: 'rankings' },
      ...given([demonstrations]).map((dataset) => ({
        ...common,
        field: 'demonstrations',
        dataset,
        kind: 'demonstrations' as const,
      })),
    ];
  }
  if (isOf(payload, 'ppo')) {
    const { prompts, maxNewTokens, policy, reward } = payload.config;
    return [{ field: 'prompts', dataset: prompts, kind: 'prompts', newTokens: maxNewTokens, models: [policy, reward] }];
  }
  if (isOf(payload, 'evaluation')) {
    const { prompts, maxNewTokens, maxPrompts, policies, reference, reward } = payload.config;
    const models = given([...policies.map(({ checkpoint }) => checkpoint), reference, reward]);
    return [
      { field: 'prompts', dataset: prompts, kind: 'prompts', newTokens: maxNewTokens, limit: maxPrompts, models },
    ];
  }
  return [];
}

/** Rankings that a job of this pipeline will make are as long as what it makes them from. */
function traced(sequences: Sequences, facts: Facts): Sequences {
  const maker = facts.maker(sequences.dataset);
  if (maker === undefined || !isOf(maker, 'feedback')) return sequences;
  const { labeller, prompts, maxNewTokens } = maker.config;
  if (labeller.kind === 'import') return { ...sequences, dataset: labeller.dataset };
  return { ...sequences, dataset: prompts ?? sequences.dataset, kind: 'prompts', newTokens: maxNewTokens };
}

/** Before there is a tokenizer, what any tokenizer would need at least; the dataset’s manifest has it. */
const bound = ({ statistics }: DatasetManifest): LongestRow => ({
  line: statistics.longestRow ?? 1,
  tokens: statistics.longestRowMinimumTokens ?? 0,
});

function overflow(
  { dataset, newTokens }: Sequences,
  row: LongestRow,
  { id, contextLength, tokenizer }: ModelFacts & { id: string },
): Omit<Problem, 'field'> {
  const count = `${tokenizer === undefined ? 'at least ' : ''}${row.tokens} tokens`;
  const sampled = newTokens > 0 ? `, and ${newTokens} new ones are to follow` : '';
  const room = contextLength - row.tokens;
  return {
    code: 'SEQUENCE_TOO_LONG',
    line: row.line,
    message: `Line ${row.line} of the dataset “${dataset}” has ${count}${sampled}; the context of “${id}” holds ${contextLength}.`,
    hint: `Shorten or drop that row${newTokens > 0 && room > 0 ? `, lower maxNewTokens to ${room}` : ''}, or use a model with a longer context.`,
  };
}

/** Every row, with what is to be sampled after it, must fit the context of every model that reads it. */
export async function checkLengths(
  job: PlannedJob,
  { facts, rows }: { facts: Facts; rows: DatasetRowsReader },
): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const wanted of sequencesOf(job)) {
    const sequences = traced(wanted, facts);
    const { dataset, kind, newTokens, limit } = sequences;
    const models = await Promise.all(sequences.models.map(async (id) => ({ id, ...(await facts.model(id)) })));
    const [tightest] = models.sort((a, b) => a.contextLength - b.contextLength);
    if (tightest === undefined) continue;
    const { tokenizer } = tightest;
    const longest =
      tokenizer === undefined
        ? bound(await facts.dataset(dataset))
        : await rows.longest(dataset, kind, { tokenizer, limit });
    if (longest.tokens + newTokens > tightest.contextLength) {
      problems.push({ ...overflow(sequences, longest, tightest), field: `${job.field}.${wanted.field}` });
    }
  }
  return problems;
}
