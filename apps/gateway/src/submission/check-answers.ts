import { type Problem } from '../http/bad-request';
import { type DatasetRowsReader } from './dataset-rows';
import { isOf } from './facts';
import { type PlannedJob } from './plan';

/** Prompts that an oracle grades answers to. */
function gradedPrompts({ payload }: PlannedJob): { id: string; limit?: number } | undefined {
  if (isOf(payload, 'evaluation') && payload.config.oracle !== undefined)
    return { id: payload.config.prompts, limit: payload.config.maxPrompts };
  if (isOf(payload, 'feedback') && payload.config.labeller.kind === 'simulated' && payload.config.prompts !== undefined)
    return { id: payload.config.prompts };
  return undefined;
}

/** An oracle knows the truth from the row: each prompt needs its `answer`. */
export async function checkAnswers(job: PlannedJob, rows: DatasetRowsReader): Promise<Problem[]> {
  const graded = gradedPrompts(job);
  if (graded === undefined) return [];
  const line = await rows.firstWithout<'prompts'>(graded.id, ({ answer }) => answer !== undefined, graded.limit);
  if (line === undefined) return [];
  return [
    {
      code: 'DATASET_INVALID_ROW',
      field: `${job.field}.prompts`,
      line,
      message: `Line ${line} of the dataset “${graded.id}” has no \`answer\`, and an oracle needs one.`,
      hint: 'Upload prompts that all have an `answer`, or do without the oracle.',
    },
  ];
}
