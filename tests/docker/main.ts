import { isDeepStrictEqual } from 'node:util';
import { type Check, runScenario } from './scenario';
import { lines, openStack, type Stack } from './stack';

let passed = 0;
let failed = 0;

/** The first thing that is wrong ends the scenario, so that the logs tell of it. */
const check: Check = (what, actual, expected) => {
  if (!isDeepStrictEqual(actual, expected))
    throw new Error(`${what}: it is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
  passed += 1;
  process.stdout.write(`✓ ${what}\n`);
};

/** Run by run.sh from the project's folder: the scenario, and the tidying up after it, whatever happens. */
async function main(): Promise<number> {
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interruption.abort());
  const place = { root: process.cwd(), project: `pavlov-test-${process.pid}` };
  const stack = openStack({ ...place, signal: interruption.signal });
  const tidying = openStack({ ...place, signal: new AbortController().signal });
  if (!(await succeeds(() => runScenario(stack, check)))) await succeeds(() => printLogs(tidying));
  await succeeds(() => takeDown(tidying, place.project));
  process.stdout.write(`docker: ${passed} checks passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

async function succeeds(act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    failed += 1;
    const { stderr } = error as { readonly stderr?: string }; // what a command said that failed
    process.stdout.write(`✗ ${stderr === undefined || stderr === '' ? '' : `${stderr}\n`}${String(error)}\n`);
    return false;
  }
}

/** Of the services that are not well; of all if they look well. */
async function printLogs({ containers, compose }: Stack): Promise<void> {
  const ill = (await containers()).filter(({ running, health }) => !running || health !== 'healthy');
  const names = new Set(ill.map(({ service }) => service));
  process.stdout.write(`${await compose('logs', '--no-color', '--tail', '50', ...names)}\n`);
}

async function takeDown({ compose, docker }: Stack, project: string): Promise<void> {
  await compose('down', '--volumes', '--remove-orphans', '--rmi', 'local', '--timeout', '15');
  const left = [];
  for (const list of [
    ['ps', '--all'],
    ['volume', 'ls'],
    ['network', 'ls'],
    ['image', 'ls'],
  ])
    left.push(...lines(await docker(...list, '--quiet', '--filter', `label=com.docker.compose.project=${project}`)));
  check('nothing is left behind', left, []);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exit(1);
  },
);
