import { type Store } from '@pavlov/checkpoint-store';
import { datasetFile, PavlovError, rowSchemas, type DatasetKind, type DatasetRows } from '@pavlov/contracts';

/**
 * All rows of a dataset in the store.
 *
 * @throws PavlovError DATASET_NOT_FOUND, DATASET_WRONG_KIND, DATASET_EMPTY, or CHECKPOINT_CORRUPT if the bytes changed.
 */
export async function readRows<K extends DatasetKind>(
  store: Store,
  { id, kind }: { id: string; kind: K },
): Promise<DatasetRows[K][]> {
  const manifest = await store.datasets.manifest(id);
  if (manifest.kind !== kind) {
    throw new PavlovError({
      code: 'DATASET_WRONG_KIND',
      message: `The dataset ${id} holds ${manifest.kind}; ${kind} are needed here.`,
      hint: `Give the id of a dataset of kind \`${kind}\`.`,
    });
  }
  const lines = (await store.datasets.read(id, datasetFile)).toString('utf8').split('\n');
  const rows = lines
    .filter((line) => line !== '')
    .map((line) => rowSchemas[kind].parse(JSON.parse(line)) as DatasetRows[K]);
  if (rows.length === 0) {
    throw new PavlovError({
      code: 'DATASET_EMPTY',
      message: `The dataset ${id} has no rows.`,
      hint: 'Upload one with at least one row.',
    });
  }
  return rows;
}
