import { build } from 'esbuild';
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';

const root = join(__dirname, '..', '..', '..');

export interface Bundle {
  /** Folder with a `<name>.js` for each `<name>.ts`. */
  readonly folder: string;
  remove(): Promise<void>;
}

/** Bundles entry points as `scripts/build.mjs` does, so that a test can run them as processes. */
export async function bundle(...entryPoints: string[]): Promise<Bundle> {
  const folder = join(root, 'node_modules', '.cache', `pavlov-${randomUUID()}`); // where packages are found
  await build({
    entryPoints: Object.fromEntries(entryPoints.map((path) => [basename(path, '.ts'), path])),
    outdir: folder,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    packages: 'external',
    sourcemap: 'inline',
    logLevel: 'warning',
    tsconfig: join(root, 'tsconfig.base.json'),
  });
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}
