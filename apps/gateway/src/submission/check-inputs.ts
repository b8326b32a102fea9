import { type ErrorCode, type JobInput } from '@pavlov/contracts';
import { type Problem } from '../http/bad-request';
import { type Facts, type FoundArtifact, inputsOfJob } from './facts';
import { type PlannedJob } from './plan';

const isCheckpoint = (kind: JobInput['kind']): boolean => kind === 'policy' || kind === 'reward-model';

function problemOf(
  { id, kind, field }: JobInput,
  found: FoundArtifact | undefined,
): Omit<Problem, 'field'> | undefined {
  const noun = isCheckpoint(kind) ? 'checkpoint' : 'dataset';
  const prefix = noun.toUpperCase() as 'CHECKPOINT' | 'DATASET';
  const list = `GET /v1/${noun}s`;
  if (found === undefined) {
    const code: ErrorCode = `${prefix}_NOT_FOUND`;
    return {
      code,
      message: `There is no ${noun} “${id}”.`,
      hint: `See ${list} for what there is. What a job makes is there once the job has completed.`,
    };
  }
  if (found.kind !== kind) {
    return {
      code: `${prefix}_WRONG_KIND`,
      message: `\`${field}\` needs a ${noun} of kind ${kind}; “${id}” is of kind ${found.kind}.`,
      hint: `Name another: ${list} shows the kind of each.`,
    };
  }
  if (found.dataset?.rows === 0) {
    return { code: 'DATASET_EMPTY', message: `The dataset “${id}” has no rows.`, hint: 'Upload one that has.' };
  }
  return undefined;
}

/** Every id that a config names must be of something that exists, or that an earlier job of the pipeline makes, and fits. */
export async function checkInputs(job: PlannedJob, facts: Facts): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const input of inputsOfJob(job.payload)) {
    const problem = problemOf(input, await facts.find(input.id, job.payload));
    if (problem !== undefined) problems.push({ ...problem, field: `${job.field}.${input.field}` });
  }
  return problems;
}
