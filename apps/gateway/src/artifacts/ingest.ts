import { type Store } from '@pavlov/checkpoint-store';
import { datasetFile, type DatasetManifest } from '@pavlov/contracts';
import { importDataset } from '@pavlov/datasets';
import { type Upload } from '../http/uploads';

/** Lines are gathered into pieces of about this many characters: one buffer for each line would cost more than the line. */
const pieceLength = 1_048_576;

/** `My Texts!` → `my-texts`; what leaves nothing is called by its kind. */
function slugOf({ name, kind }: Upload): string {
  const slug = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
  return /[a-z]/.test(slug) ? slug : [kind, slug].filter(Boolean).join('-');
}

/**
 * Reads, checks and stores a dataset. Its id is made of its name and its rows, so the same upload again gives the same
 * dataset.
 *
 * @throws PavlovError DATASET_INVALID_ROW, DATASET_EMPTY, UNSUPPORTED_MEDIA_TYPE, CONFIG_CONFLICT
 */
export async function ingest(store: Store, upload: Upload): Promise<{ manifest: DatasetManifest; isNew: boolean }> {
  const { kind, name, files, dedupePrefix } = upload;
  const pieces: Buffer[] = [];
  let piece = '';
  const flush = (): void => {
    pieces.push(Buffer.from(piece));
    piece = '';
  };
  const write = (line: string): void => {
    piece += line;
    if (piece.length >= pieceLength) flush();
  };
  const description = await importDataset({ kind, files, dedupePrefix, write });
  flush();
  const id = `${slugOf(upload)}-${description.sha256.slice(0, 10)}`;
  const existing = await store.datasets.find(id);
  const manifest = await store.datasets.publish({
    manifest: { id, kind, name, ...description },
    files: { [datasetFile]: Buffer.concat(pieces) },
  });
  return { manifest, isNew: existing === undefined };
}
