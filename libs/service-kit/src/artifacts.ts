import { type Store } from '@pavlov/checkpoint-store';
import { averageIdOf, type JobPayload, type JobResult, outputOf, PavlovError } from '@pavlov/contracts';
import { type StageOutcome } from './trainer-context';

export type ResultIds = Pick<JobResult, 'checkpointId' | 'averageCheckpointId' | 'datasetId' | 'reportId'>;

/** What a job has left in the store: its ids and figures, or undefined if it has published nothing yet. */
export async function publishedBy(
  { stage, jobId }: JobPayload,
  store: Store,
): Promise<(ResultIds & Pick<StageOutcome, 'metrics'>) | undefined> {
  const kind = outputOf[stage];
  switch (kind) {
    case 'policy':
    case 'reward-model': {
      const manifest = await store.checkpoints.find(jobId);
      if (manifest === undefined) return undefined;
      const average = stage === 'ppo' ? await store.checkpoints.find(averageIdOf(jobId)) : undefined;
      return {
        checkpointId: jobId,
        ...(average === undefined ? {} : { averageCheckpointId: average.id }),
        metrics: manifest.metrics,
      };
    }
    case 'rankings': {
      const manifest = await store.datasets.find(jobId);
      return manifest && { datasetId: jobId, metrics: manifest.statistics };
    }
    case 'report':
      return (await store.reports.find(jobId)) && { reportId: jobId, metrics: {} };
    default:
      return kind satisfies never;
  }
}

/** The result of a job whose trainer has succeeded. @throws PavlovError INTERNAL if it has published nothing. */
export async function resultOf(
  job: JobPayload,
  store: Store,
  { metrics, tokens }: StageOutcome,
): Promise<Omit<JobResult, 'seconds'>> {
  const published = await publishedBy(job, store);
  if (published) return { ...published, metrics, tokens };
  throw new PavlovError({
    code: 'INTERNAL',
    message: `The trainer of ${job.stage} ended without publishing a ${outputOf[job.stage]}.`,
    hint: 'This is a fault of the stage: report it.',
  });
}
