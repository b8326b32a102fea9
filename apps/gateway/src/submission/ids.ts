import { averageIdOf, lastGoodIdOf, type StageName, stages } from '@pavlov/contracts';
import { createHash, randomBytes } from 'node:crypto';

/** What the ids of one submission end in: `pipeline-<suffix>`, `sft-<suffix>`, … 60 bits, in Crockford's base 32. */
const suffixLength = 12;
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const suffixOf = (bytes: Buffer): string =>
  Array.from(bytes.subarray(0, suffixLength), (byte) => alphabet[byte % alphabet.length]).join('');

/** The same Idempotency-Key gives the same ids, so that nothing can be enqueued twice under it. */
export const suffixOfKey = (key: string): string => suffixOf(createHash('sha256').update(key).digest());
export const freshSuffix = (): string => suffixOf(randomBytes(suffixLength));

/** `ppo-<suffix>`, and `ppo-<suffix>-r2` in the second round of a pipeline. */
export const jobIdOf = (stage: StageName, suffix: string, round = 1): string =>
  `${stage}-${suffix}${round === 1 ? '' : `-r${round}`}`;
export const pipelineIdOf = (suffix: string): string => `pipeline-${suffix}`;

const pattern = new RegExp(
  `^(${[...stages, 'pipeline'].join('|')})-([${alphabet}]{${suffixLength}})(?:-r([2-9]|[1-9][0-9]))?$`,
);

/** Takes an id of this gateway apart; anything else is undefined. */
export function parseJobId(id: string): { readonly stage: StageName; readonly suffix: string } | undefined {
  const [, stage, suffix] = pattern.exec(id) ?? [];
  return stage === undefined || stage === 'pipeline' ? undefined : { stage: stage as StageName, suffix };
}

export function parsePipelineId(id: string): { readonly suffix: string } | undefined {
  const [, stage, suffix, round] = pattern.exec(id) ?? [];
  return stage === 'pipeline' && round === undefined ? { suffix } : undefined;
}

/** What the ids of a ppo job's further checkpoints have after the job's own. */
const endings = [averageIdOf, lastGoodIdOf].map((idOf) => idOf(''));

/** The job that leaves an artefact of this id; undefined for what no job of this gateway makes. */
export function makerIdOf(artifact: string): string | undefined {
  const ending = endings.find((one) => artifact.endsWith(one)) ?? '';
  const jobId = artifact.slice(0, artifact.length - ending.length);
  const job = parseJobId(jobId);
  return job !== undefined && (ending === '' || job.stage === 'ppo') ? jobId : undefined;
}
