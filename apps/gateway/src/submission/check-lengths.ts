import { type DatasetManifest } from '@pavlov/contracts';
import { type Problem } from '../http/bad-request';
import { type DatasetRowsReader, type RowLength, type MeasuredKind } from './dataset-rows';
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
    return [{ field: 'prompts', dataset: prompts, kind: 'prompts', newTokens: maxNewTokens, models: given([policy, reward]) }];
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

/** Before there is a tokenizer, by what any tokenizer would need at least; the dataset’s manifest has it. */
function tooLongForAny({ statistics }: DatasetManifest, room: number): RowLength | undefined {
  const { longestRow: line = 1, longestRowMinimumTokens: tokens = 0 } = statistics;
  return tokens > room ? { line, tokens } : undefined;
}

type NamedModel = ModelFacts & { readonly id: string };

/** Of the models with one tokenizer, the one with the shortest context. */
async function tightest(ids: readonly string[], facts: Facts): Promise<NamedModel[]> {
  const found = new Map<string, NamedModel>();
  for (const id of ids) {
    const model = { id, ...(await facts.model(id)) };
    const known = found.get(model.tokenizerName);
    if (known === undefined || model.contextLength < known.contextLength) found.set(model.tokenizerName, model);
  }
  return [...found.values()];
}

function overflow(
  { dataset, newTokens }: Sequences,
  row: RowLength,
  { id, contextLength, tokenizer }: NamedModel,
): Omit<Problem, 'field'> {
  const count = `${tokenizer === undefined ? 'at least ' : ''}${row.tokens} tokens`;
  const sampled = newTokens > 0 ? `, and ${newTokens} new ones are to follow` : '';
  const room = contextLength - row.tokens;
  return {
    code: 'SEQUENCE_TOO_LONG',
    line: row.line,
    message: `Line ${row.line} of the dataset “${dataset}” has ${count}${sampled}; the context of “${id}” holds ${contextLength}.`,
    hint: `Shorten or drop that row${newTokens > 0 && room > 0 ? `, or lower maxNewTokens, to ${room} for this row` : ''}, or use a model with a longer context.`,
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
    for (const model of await tightest(sequences.models, facts)) {
      const { tokenizer: encoder, contextLength } = model;
      const room = contextLength - newTokens;
      const row =
        encoder === undefined
          ? tooLongForAny(await facts.dataset(dataset), room)
          : await rows.findLong(dataset, { kind, encoder, room, limit });
      if (row !== undefined)
        problems.push({ ...overflow(sequences, row, model), field: `${job.field}.${wanted.field}` });
    }
  }
  return problems;
}
