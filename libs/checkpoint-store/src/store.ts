import {
  type CheckpointManifest,
  checkpointManifest,
  type DatasetManifest,
  datasetManifest,
  type PavlovError,
  type ReportManifest,
  reportManifest,
} from '@pavlov/contracts';
import { type ArtifactSet, createArtifactSet } from './artifact-set';
import { openDirectoryBlobStore } from './directory-blob-store';
import { claim, type Fence } from './fence';

/** Everything that jobs make and read. */
export interface Store {
  readonly checkpoints: ArtifactSet<CheckpointManifest>;
  readonly datasets: ArtifactSet<DatasetManifest>;
  readonly reports: ArtifactSet<ReportManifest>;
  /** From now on, writes of earlier attempts at the job fail with STALE_ATTEMPT; so does this, for a stale attempt. */
  claim(jobId: string, attempt: number): Promise<Fence>;
  /** Resolves if the store can be written to. */
  probe(): Promise<void>;
}

export interface StoreOptions {
  /** The directory that holds `checkpoints/`, `datasets/`, `reports/` and `runs/`. */
  readonly root: string;
  /** Told of each unreadable manifest that a list left out. */
  readonly onCorrupt?: (error: PavlovError) => void;
}

export function openStore({ root, onCorrupt = () => undefined }: StoreOptions): Store {
  const blobs = openDirectoryBlobStore(root);
  const shared = { blobs, onCorrupt };
  return {
    checkpoints: createArtifactSet({
      ...shared,
      folder: 'checkpoints',
      noun: 'checkpoint',
      schema: checkpointManifest,
      notFound: 'CHECKPOINT_NOT_FOUND',
    }),
    datasets: createArtifactSet({
      ...shared,
      folder: 'datasets',
      noun: 'dataset',
      schema: datasetManifest,
      notFound: 'DATASET_NOT_FOUND',
    }),
    reports: createArtifactSet({
      ...shared,
      folder: 'reports',
      noun: 'report',
      schema: reportManifest,
      notFound: 'REPORT_NOT_FOUND',
    }),
    claim: (jobId, attempt) => claim(blobs, { jobId, attempt }),
    probe: () => blobs.put('probe', ''),
  };
}
