// `npm start`: packages, bundles, then every service, until it is interrupted; see apps/cli.
import { join } from 'node:path';
import { buildServices, ensureDependencies, must, root } from './lib/setup.mjs';

ensureDependencies();
buildServices();
must(process.execPath, [join(root, 'dist', 'apps', 'cli', 'main.js'), 'up', ...process.argv.slice(2)]);
