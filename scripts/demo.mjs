// `npm run demo`: packages, bundles, then the demo itself; see apps/cli.
import { join } from 'node:path';
import { buildServices, ensureDependencies, must, root } from './lib/setup.mjs';

ensureDependencies();
buildServices();
must(process.execPath, [join(root, 'dist', 'apps', 'cli', 'main.js'), 'demo', ...process.argv.slice(2)]);
