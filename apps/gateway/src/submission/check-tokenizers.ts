import { type Problem } from '../http/bad-request';
import { type Facts, inputsOfJob, isOf } from './facts';
import { type PlannedJob } from './plan';

/** A model that reads what another one writes. */
interface Reading {
  readonly field: string;
  readonly reader: string;
  readonly writer: string;
}

function readingsOf({ payload }: PlannedJob): Reading[] {
  if (isOf(payload, 'ppo') || isOf(payload, 'sft')) {
    const writer = payload.config.policy;
    const judges = inputsOfJob(payload).filter(({ kind }) => kind === 'reward-model');
    return judges.map(({ field, id }) => ({ field, reader: id, writer }));
  }
  if (!isOf(payload, 'evaluation')) return [];
  const { policies, reference, reward } = payload.config;
  return Object.entries({ reference, reward }).flatMap(([field, reader]) =>
    reader === undefined ? [] : policies.map(({ checkpoint }) => ({ field, reader, writer: checkpoint })),
  );
}

/** A reward model, or a reference, can judge only answers in its own tokens. */
export async function checkTokenizers(job: PlannedJob, facts: Facts): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const { field, reader, writer } of readingsOf(job)) {
    if ((await facts.model(reader)).tokenizerName === (await facts.model(writer)).tokenizerName) continue;
    problems.push({
      code: 'TOKENIZER_MISMATCH',
      field: `${job.field}.${field}`,
      message: `“${reader}” has to read what “${writer}” writes, but their tokenizers differ.`,
      hint: 'Use models that descend from the same pretrained one.',
    });
  }
  return problems;
}
