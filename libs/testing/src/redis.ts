import { launchPrivateRedis } from '@pavlov/service-kit';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TestRedis {
  readonly url: string;
  /** A fresh folder, to be PAVLOV_HOME. */
  readonly home: string;
  /** Ends the server and removes the folder. */
  stop(): Promise<void>;
}

/** A real Redis of a test's own, in a temporary home. */
export async function startTestRedis(): Promise<TestRedis> {
  const home = await mkdtemp(join(tmpdir(), 'pavlov-test-'));
  const lease = await launchPrivateRedis({ home });
  return {
    url: lease.url,
    home,
    stop: async () => {
      await lease.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}
