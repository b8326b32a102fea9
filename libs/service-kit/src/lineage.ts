import { type Store } from '@pavlov/checkpoint-store';
import { inputsOf, type JobInput, type JobPayload, type Lineage, type StageName } from '@pavlov/contracts';

/** Where the artefact of a job comes from. @throws PavlovError CHECKPOINT_NOT_FOUND, DATASET_NOT_FOUND. */
export async function readLineage({
  job,
  attempt,
  store,
}: {
  job: JobPayload;
  attempt: number;
  store: Store;
}): Promise<Lineage> {
  const parents: Lineage['parents'] = [];
  const datasets: Lineage['datasets'] = [];
  for (const { field, id, kind } of inputsOfJob(job)) {
    if (kind === 'policy' || kind === 'reward-model') {
      await store.checkpoints.manifest(id);
      parents.push({ field, id });
    } else {
      datasets.push({ field, id, sha256: (await store.datasets.manifest(id)).sha256 });
    }
  }
  const { stage, jobId, pipelineId, config, seed } = job;
  return { stage, jobId, pipelineId, attempt, parents, datasets, config, seed };
}

function inputsOfJob<S extends StageName>({ stage, config }: JobPayload<S>): JobInput[] {
  return inputsOf[stage](config);
}
