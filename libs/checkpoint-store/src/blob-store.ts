import { type Readable } from 'node:stream';

export type Bytes = Uint8Array | string;

/**
 * Named bytes. Keys are `/`-separated paths. The store above asks no more of a directory or a bucket than this, and
 * `blobStoreContract` tests all of it.
 */
export interface BlobStore {
  /** Writes durably, replacing what was there. Readers see the old bytes or the new ones, never a mixture. */
  put(key: string, data: Bytes): Promise<void>;
  /** Writes durably unless the key exists; says whether it wrote. Of several writers exactly one does. */
  create(key: string, data: Bytes): Promise<boolean>;
  /**
   * Writes all of the files under the prefix, or none: nothing is visible before everything is durable. Of several
   * writers exactly one wins and gets true, and its bytes are the ones that stay.
   */
  createTree(prefix: string, tree: Tree): Promise<boolean>;
  get(key: string): Promise<Buffer | undefined>;
  getStream(key: string): Promise<Readable | undefined>;
  head(key: string): Promise<{ readonly bytes: number } | undefined>;
  /** The names directly under a prefix, sorted; empty when there is no such prefix. */
  list(prefix: string): Promise<string[]>;
}

export interface Tree {
  readonly files: Readonly<Record<string, Bytes>>;
  /** Last say, once all bytes are durable and before any is visible: a rejection leaves nothing behind. */
  readonly beforeCommit?: () => Promise<void>;
}
