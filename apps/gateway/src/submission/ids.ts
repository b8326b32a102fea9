import { type StageName, stages } from '@pavlov/contracts';
import { createHash, randomBytes } from 'node:crypto';

/** What the ids of one submission end in: `pipeline-<suffix>`, `sft-<suffix>`, … 60 bits, in Crockford's base 32. */
const suffixLength = 12;
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const suffixOf = (bytes: Buffer): string =>
  Array.from(bytes.subarray(0, suffixLength), (byte) => alphabet[byte % alphabet.length]).join('');

/** The same Idempotency-Key gives the same ids, so that nothing can be enqueued twice under it. */
export const suffixOfKey = (key: string): string => suffixOf(createHash('sha256').update(key).digest());
export const freshSuffix = (): string => suffixOf(randomBytes(suffixLength));

export const jobIdOf = (stage: StageName, suffix: string): string => `${stage}-${suffix}`;
export const pipelineIdOf = (suffix: string): string => `pipeline-${suffix}`;

const pattern = new RegExp(`^(${[...stages, 'pipeline'].join('|')})-([${alphabet}]{${suffixLength}})$`);

/** Takes an id of this gateway apart; anything else is undefined. */
export function parseJobId(id: string): { readonly stage: StageName; readonly suffix: string } | undefined {
  const [, stage, suffix] = pattern.exec(id) ?? [];
  return stage === undefined || stage === 'pipeline' ? undefined : { stage: stage as StageName, suffix };
}

export function parsePipelineId(id: string): { readonly suffix: string } | undefined {
  const [, stage, suffix] = pattern.exec(id) ?? [];
  return stage === 'pipeline' ? { suffix } : undefined;
}
