// `npm test`: type check, lint with its boundaries, and every jest suite. Ends in one line: "N passed, N failed".
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildServices, ensureDependencies, root } from './lib/setup.mjs';

ensureDependencies();
buildServices();

let passed = 0;
let failed = 0;
const bin = (name) => join(root, 'node_modules', '.bin', name);
const run = (command, args) =>
  spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, PAVLOV_THREADS: '1' } });

for (const [name, command, args] of [
  ['type check', bin('tsc'), ['-p', 'tsconfig.json', '--noEmit']],
  ['lint', bin('eslint'), ['.', '--max-warnings', '0']],
]) {
  process.stdout.write(`\n── ${name}\n`);
  const ok = run(command, args).status === 0;
  process.stdout.write(ok ? `✓ ${name}\n` : `✗ ${name}\n`);
  if (ok) passed += 1;
  else failed += 1;
}

process.stdout.write('\n── tests\n');
const folder = mkdtempSync(join(tmpdir(), 'pavlov-test-'));
const outputFile = join(folder, 'jest.json');
const jest = run(bin('jest'), ['--json', `--outputFile=${outputFile}`, ...process.argv.slice(2)]);
try {
  const report = JSON.parse(readFileSync(outputFile, 'utf8'));
  passed += report.numPassedTests;
  failed += report.numFailedTests + report.numRuntimeErrorTestSuites;
} catch {
  failed += 1;
}
if (jest.status !== 0 && failed === 0) failed = 1;
rmSync(folder, { recursive: true, force: true });

process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
