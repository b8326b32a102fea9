import { z } from 'zod';

export const stages = ['pretraining', 'sft', 'feedback', 'reward-modeling', 'ppo', 'evaluation'] as const;
export const stageName = z.enum(stages);
export type StageName = z.infer<typeof stageName>;

/**
 * Ids of jobs, pipelines, datasets and checkpoints. They double as file names and as BullMQ job ids, which may hold no
 * `:` and may not be all digits. The artefact a job makes bears the job's own id, so every input is known, and checked,
 * before anything runs.
 */
export const id = idOr();

/** An id, and why it is needed, for the answer to a request that leaves it out. */
export const neededId = (why: string) => idOr(why);

function idOr(missing?: string) {
  return z
    .string({ error: ({ input }) => (input === undefined ? missing : undefined) })
    .regex(/^(?=.*[a-z])[a-z0-9][a-z0-9-]{2,79}$/, 'an id has 3–80 characters: small letters, digits and “-”, with at least one letter')
    .meta({ examples: ['sft-46x4p67wg3rn'] });
}

export const checkpointId = id.describe('Id of a checkpoint. The checkpoint that a job makes has the job’s id.');
export const datasetId = id.meta({
  description: 'Id of a dataset. The dataset that a job makes has the job’s id.',
  examples: ['my-corpus-73af7aa25a'],
});
export const seed = z.int().min(0).max(Number.MAX_SAFE_INTEGER).describe('Same seed, same bytes.');
export const priority = z.int().min(0).max(2_097_151).describe('BullMQ priority: 0 is the default and the most urgent, larger numbers wait.');
