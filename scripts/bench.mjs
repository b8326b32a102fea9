// Runs a benchmark: `node scripts/bench.mjs speed --phases train` bundles bench/speed.ts and runs it with the rest.
// What a benchmark starts as processes of its own is bench/<name>/worker.ts, bundled beside it as <name>.worker.js.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [name = '', ...rest] = process.argv.slice(2);
const source = join(root, 'bench', `${name}.ts`);
if (!existsSync(source)) {
  process.stderr.write(`There is no benchmark "${name}" under bench/.\n`);
  process.exit(2);
}
const worker = join(root, 'bench', name, 'worker.ts');
const outdir = join(root, 'dist', 'bench');
await build({
  entryPoints: { [name]: source, ...(existsSync(worker) && { [`${name}.worker`]: worker }) },
  outdir,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  packages: 'external',
  sourcemap: true,
  logLevel: 'warning',
  tsconfig: join(root, 'tsconfig.base.json'),
});
process.exit(spawnSync(process.execPath, [join(outdir, `${name}.js`), ...rest], { stdio: 'inherit' }).status ?? 1);
