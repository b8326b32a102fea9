/** What one process of several on a machine does at a time. */
import { PavlovError } from '@pavlov/contracts';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Runs `critical` while a file holds this process's number; waits for its turn at most `limit` milliseconds.
 *
 * @throws PavlovError SERVICE_UNAVAILABLE if another process holds the file for longer.
 */
export async function withLock<T>(path: string, limit: number, critical: () => Promise<T>): Promise<T> {
  await mkdir(dirname(path), { recursive: true });
  const take = async (): Promise<boolean> => {
    try {
      await writeFile(path, String(process.pid), { flag: 'wx' });
      return true;
    } catch {
      const holder = Number(await readFile(path, 'utf8').catch(() => ''));
      if (holder > 0 && !isAlive(holder)) await rm(path, { force: true }); // it died while it held it
      return false;
    }
  };
  const otherwise = (): Error =>
    new PavlovError({
      code: 'SERVICE_UNAVAILABLE',
      message: `Another process holds ${path}.`,
      hint: 'Remove the file if there is none.',
    });
  await until(take, { limit, otherwise });
  try {
    return await critical();
  } finally {
    await rm(path, { force: true });
  }
}

interface Patience {
  readonly limit: number;
  readonly otherwise: () => Error;
}

/** Waits until `condition` holds. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  { limit, otherwise }: Patience,
): Promise<void> {
  const deadline = Date.now() + limit;
  while (!(await condition())) {
    if (Date.now() > deadline) throw otherwise();
    await sleep(25);
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
