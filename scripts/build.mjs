// Bundles the services: `node scripts/build.mjs` builds all, `node scripts/build.mjs ppo sft` some.
// Every `main.ts`, `trainer.ts` and `completer.ts` of an app becomes one file under dist/apps/<app>/; packages stay in node_modules.
import { build } from 'esbuild';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const all = readdirSync(join(root, 'apps'));
const wanted = process.argv.slice(2);
for (const name of wanted) {
  if (!all.includes(name)) {
    process.stderr.write(`There is no app named "${name}". The apps are: ${all.join(', ')}.\n`);
    process.exit(2);
  }
}

for (const name of wanted.length > 0 ? wanted : all) {
  const entryPoints = ['main', 'trainer', 'completer']
    .map((file) => join(root, 'apps', name, 'src', `${file}.ts`))
    .filter(existsSync);
  if (entryPoints.length === 0) continue;
  await build({
    entryPoints,
    outdir: join(root, 'dist', 'apps', name),
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    packages: 'external',
    sourcemap: true,
    logLevel: 'warning',
    tsconfig: join(root, 'tsconfig.base.json'),
  });
}
