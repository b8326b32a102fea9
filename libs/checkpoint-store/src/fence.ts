import { PavlovError } from '@pavlov/contracts';
import { type BlobStore } from './blob-store';
import { parseId } from './parse-id';

/** The right of one attempt at a job to write. Plain data: it travels to the trainer's process. */
export interface Fence {
  readonly jobId: string;
  readonly attempt: number;
}

/**
 * Claims a job for an attempt. A worker that lost its lock keeps running beside its successor, and nothing tells it.
 * What stops it is this record: once a later attempt has claimed the job, an earlier one can publish nothing.
 *
 * @throws PavlovError STALE_ATTEMPT if a later attempt has claimed the job already.
 */
export async function claim(blobs: BlobStore, fence: Fence): Promise<Fence> {
  await blobs.create(`${claims(fence)}/${padded(fence.attempt)}`, '');
  await assertCurrent(blobs, fence);
  return fence;
}

/** @throws PavlovError STALE_ATTEMPT if a later attempt has claimed the job. */
export async function assertCurrent(blobs: BlobStore, fence: Fence): Promise<void> {
  const latest = Number((await blobs.list(claims(fence))).at(-1) ?? -1);
  if (latest > fence.attempt) {
    throw new PavlovError({
      code: 'STALE_ATTEMPT',
      message: `Attempt ${fence.attempt} of the job ${fence.jobId} may no longer write: attempt ${latest} has taken over.`,
      hint: 'Nothing is lost: the later attempt goes on. Look at its result.',
    });
  }
}

const claims = ({ jobId }: Fence): string => `runs/${parseId(jobId)}/attempts`;

/** Names sort as their numbers do. */
const padded = (attempt: number): string => String(attempt).padStart(12, '0');
