// `npm stop`: takes down what `npm run demo` left running; see apps/cli.
import { join } from 'node:path';
import { buildServices, ensureDependencies, must, root } from './lib/setup.mjs';

ensureDependencies();
buildServices();
must(process.execPath, [join(root, 'dist', 'apps', 'cli', 'main.js'), 'down', ...process.argv.slice(2)]);
