import { minimumTokens } from '@pavlov/datasets';
import { type Problem } from '../http/bad-request';
import { tightest } from './check-lengths';
import { type DatasetRowsReader, type RowLength } from './dataset-rows';
import { type Facts, isOf, type ModelFacts, modelsOf } from './facts';
import { type PlannedJob } from './plan';

interface Capped {
  readonly prompts: string;
  readonly cap: number;
}

/** The shortest prompt, if all are longer than the cap; before there is a tokenizer, by what any would need at least. */
async function shortestBeyond(
  { prompts, cap }: Capped,
  { tokenizer }: ModelFacts,
  rows: DatasetRowsReader,
): Promise<RowLength | undefined> {
  if (tokenizer !== undefined)
    return rows.findShortestIfLong(prompts, { kind: 'prompts', encoder: tokenizer, room: cap });
  let shortest: RowLength | undefined;
  let line = 0;
  const fitting = await rows.find<'prompts', true>(prompts, {
    probe: ({ prompt }) => {
      const tokens = minimumTokens(prompt);
      line += 1;
      if (shortest === undefined || tokens < shortest.tokens) shortest = { line, tokens };
      return tokens <= cap ? true : undefined;
    },
  });
  return fitting === undefined ? shortest : undefined;
}

/** Where prompts are capped, prompt and answer must fit at their longest, and some prompt must be short enough. */
export async function checkPromptCap(
  { payload, field }: PlannedJob,
  { facts, rows }: { facts: Facts; rows: DatasetRowsReader },
): Promise<Problem[]> {
  if (!isOf(payload, 'ppo') || payload.config.maxPromptTokens === undefined) return [];
  const { prompts, maxPromptTokens: cap, maxNewTokens } = payload.config;
  const [model] = await tightest(modelsOf(payload), facts);
  const { id, contextLength } = model;
  const place = `${field}.maxPromptTokens`;
  if (cap + maxNewTokens > contextLength) {
    const lower = [
      ...(contextLength > maxNewTokens ? [`maxPromptTokens to ${contextLength - maxNewTokens}`] : []),
      ...(contextLength > cap ? [`maxNewTokens to ${contextLength - cap}`] : []),
    ];
    return [
      {
        code: 'SEQUENCE_TOO_LONG',
        field: place,
        message: `Prompts of ${cap} tokens (maxPromptTokens) with answers of ${maxNewTokens} (maxNewTokens) do not fit the context of “${id}”, which holds ${contextLength}.`,
        hint: `Lower ${lower.length > 0 ? lower.join(', or ') : 'both'}, or use models with a longer context.`,
      },
    ];
  }
  const shortest = await shortestBeyond({ prompts, cap }, model, rows);
  if (shortest === undefined) return [];
  const least = model.tokenizer === undefined ? 'at least ' : '';
  return [
    {
      code: 'DATASET_EMPTY',
      field: place,
      message: `No prompt of the dataset “${prompts}” has at most ${cap} tokens: the shortest, on line ${shortest.line}, has ${least}${shortest.tokens}.`,
      hint: 'Raise maxPromptTokens, or give shorter prompts.',
    },
  ];
}
