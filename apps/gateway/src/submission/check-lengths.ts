import { type DatasetManifest } from '@pavlov/contracts';
import { type Problem } from '../http/bad-request';
import { type DatasetRowsReader, type RowLength, type MeasuredKind } from './dataset-rows';
import { type Facts, isOf, type ModelFacts } from './facts';
import { type PlannedJob } from './plan';
import { type Sequences, sequencesIn } from './sequences';

/** Rankings that a job of this pipeline will make are as long as what it makes them from. */
function traced(sequences: Sequences, facts: Facts): Sequences {
  const maker = facts.maker(sequences.dataset);
  if (maker === undefined || !isOf(maker, 'feedback')) return sequences;
  const { labeller, prompts, maxNewTokens } = maker.config;
  if (labeller.kind === 'import') return { ...sequences, dataset: labeller.dataset };
  const newTokens = sequences.kind === 'ranked-prompts' ? sequences.newTokens : maxNewTokens;
  return { ...sequences, dataset: prompts ?? sequences.dataset, kind: 'prompts', newTokens };
}

/** Before there is a tokenizer, by what any tokenizer would need at least; the dataset’s manifest has it for whole rows. */
function tooLongForAny(
  { kind, statistics }: DatasetManifest,
  { wanted, room }: { wanted: MeasuredKind; room: number },
): RowLength | undefined {
  const { longestRow: line = 1, longestRowMinimumTokens: tokens = 0 } = statistics;
  if (kind !== wanted) return undefined;
  return tokens > room ? { line, tokens } : undefined;
}

type NamedModel = ModelFacts & { readonly id: string };

/** Of the models with one tokenizer, the one with the shortest context. */
export async function tightest(ids: readonly string[], facts: Facts): Promise<NamedModel[]> {
  const found = new Map<string, NamedModel>();
  for (const id of ids) {
    const model = { id, ...(await facts.model(id)) };
    const known = found.get(model.tokenizerName);
    if (known === undefined || model.contextLength < known.contextLength) found.set(model.tokenizerName, model);
  }
  return [...found.values()];
}

function overflow(
  { dataset, newTokens, remedy }: Sequences,
  row: RowLength,
  { id, contextLength, tokenizer }: NamedModel,
): Omit<Problem, 'field'> {
  const count = `${tokenizer === undefined ? 'at least ' : ''}${row.tokens} tokens`;
  const sampled = newTokens > 0 ? `, and ${newTokens} new ones are to follow` : '';
  const room = contextLength - row.tokens;
  const lower = newTokens > 0 && room > 0 ? `lower maxNewTokens, to ${room} for this row` : undefined;
  const remedies = [lower, remedy].filter((one) => one !== undefined);
  return {
    code: 'SEQUENCE_TOO_LONG',
    line: row.line,
    message: `Line ${row.line} of the dataset “${dataset}” has ${count}${sampled}; the context of “${id}” holds ${contextLength}.`,
    hint: `Shorten or drop that row, ${remedies.map((one) => `${one}, `).join('')}or use a model with a longer context.`,
  };
}

/** Every row, with what is to be sampled after it, must fit the context of every model that reads it. */
export async function checkLengths(
  job: PlannedJob,
  { facts, rows }: { facts: Facts; rows: DatasetRowsReader },
): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const wanted of sequencesIn(job.payload)) {
    const sequences = traced(wanted, facts);
    const { dataset, kind, newTokens, limit } = sequences;
    for (const model of await tightest(sequences.models, facts)) {
      const { tokenizer: encoder, contextLength } = model;
      const room = contextLength - newTokens;
      const row =
        encoder === undefined
          ? tooLongForAny(await facts.dataset(dataset), { wanted: kind, room })
          : await rows.findLong(dataset, { kind, encoder, room, limit });
      if (row !== undefined)
        problems.push({ ...overflow(sequences, row, model), field: `${job.field}.${wanted.field}` });
    }
  }
  return problems;
}
