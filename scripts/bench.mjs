// Runs a benchmark: `node scripts/bench.mjs train-step tiny 20` bundles bench/train-step.ts and runs it with the rest.
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
const outfile = join(root, 'dist', 'bench', `${name}.js`);
await build({
  entryPoints: [source],
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  packages: 'external',
  sourcemap: true,
  logLevel: 'warning',
  tsconfig: join(root, 'tsconfig.base.json'),
});
process.exit(spawnSync(process.execPath, [outfile, ...rest], { stdio: 'inherit' }).status ?? 1);
