import { PavlovError } from '@pavlov/contracts';
import { realpath } from 'node:fs/promises';
import { isAbsolute, relative, resolve } from 'node:path';

const isInside = (root: string, path: string): boolean => {
  const way = relative(root, path);
  return way === '' || (!way.startsWith('..') && !isAbsolute(way));
};

/**
 * The true path of a file or folder that a client named, if it lies in one of the allowed folders. Symbolic links are
 * followed first, so none leads out. What is outside is forbidden whether it exists or not: the answer tells nothing.
 *
 * @throws PavlovError FORBIDDEN_PATH, FILE_NOT_FOUND
 */
export async function resolveAllowed(path: string, roots: readonly string[]): Promise<string> {
  const trueRoots = await Promise.all(roots.map((root) => realpath(root).catch(() => resolve(root))));
  const forbidden = new PavlovError({
    code: 'FORBIDDEN_PATH',
    message: `“${path}” is not in a folder that this server may read from.`,
    hint: 'Upload the file, or have its folder added to PAVLOV_DATA_ROOTS of the gateway.',
    field: 'path',
  });
  const wanted = [...roots, ...trueRoots].some((root) => isInside(root, resolve(path)));
  if (!isAbsolute(path) || path.includes('\0') || !wanted) throw forbidden;
  const found = await realpath(path).catch(() => undefined);
  if (found === undefined) {
    throw new PavlovError({
      code: 'FILE_NOT_FOUND',
      message: `There is no “${path}”.`,
      hint: 'Give the absolute path of a file or folder on the server.',
      field: 'path',
    });
  }
  if (!trueRoots.some((root) => isInside(root, found))) throw forbidden;
  return found;
}
