export { type ArtifactSet, type Publication } from './artifact-set';
export { type BlobStore, type Bytes, type Tree } from './blob-store';
export { type Fence } from './fence';
export { openStore, type Store, type StoreOptions } from './store';
