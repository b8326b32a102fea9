/**
 * The speed and the memory of training, scoring, sampling and PPO, alone or beside PyTorch's. See docs/performance.md.
 *   npm run bench -- --help
 */
import { writeFileSync } from 'node:fs';
import { compareLosses } from './speed/agreement';
import { describeEnvironment, environmentOf, versionsOf, type Environment } from './speed/environment';
import { readOptions, usage, UsageError, type Options } from './speed/options';
import { measureProfiles, profiledPhases, profileTable } from './speed/profile';
import { footnotes, rowsOf, table } from './speed/report';
import { measureScaling, scalingTable } from './speed/scaling';
import { sit, type Sitting } from './speed/sitting';
import { casesOf } from './speed/task';

const progress = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) {
    console.log(usage);
    return;
  }
  const options = readOptions(args);
  const environment = environmentOf(options);
  console.log(`${describeEnvironment(environment)}\n`);
  const write = (content: object): void => {
    if (options.json !== undefined)
      writeFileSync(options.json, `${JSON.stringify({ environment, ...content }, undefined, 2)}\n`);
  };
  await { sitting: runSitting, scaling: runScaling, profile: runProfile }[options.mode](options, {
    environment,
    write,
  });
}

interface Output {
  readonly environment: Environment;
  write(content: object): void;
}

async function runSitting(options: Options, { environment, write }: Output): Promise<void> {
  const { peer, modes, rounds } = options;
  if (peer !== undefined) console.log(`${await compareLosses(peer, options)}\n`);
  const sitting = await sit({
    cases: [{ phase: 'sgemm' }, { phase: 'read' }, ...casesOf(options)],
    rounds,
    settings: options,
    peer: peer === undefined ? undefined : { command: peer, modes },
    onMeasured: progress,
    save: (sofar) => write(contentOf(sofar)),
  });
  const { ours, peer: theirs } = versionsOf(sitting);
  const list = (versions: object): string =>
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', ');
  console.log(`versions  ${list(ours)}${peer === undefined ? '' : `; ${list(theirs)}`}\n`);
  console.log(table(rowsOf(sitting)));
  const notes = footnotes(sitting);
  if (notes.length > 0) console.log(`\n${notes.join('\n')}`);
  if (sitting.found.some(({ ours }) => ours.length === 0)) process.exitCode = 1;
  if (environment.loadAverage[0] > 0.5) console.log('\nThe machine was not idle: the figures are too low.');
}

const contentOf = (sitting: Sitting): object => ({ versions: versionsOf(sitting), rows: rowsOf(sitting) });

async function runScaling(options: Options, { write }: Output): Promise<void> {
  const rows = await measureScaling({ ...options, seconds: Math.min(options.seconds, 2) }, progress);
  write({ rows });
  console.log(scalingTable(rows));
}

async function runProfile(options: Options, { write }: Output): Promise<void> {
  const phases = profiledPhases.filter((phase) => options.phases.includes(phase));
  const rows = await measureProfiles(casesOf({ ...options, phases }), options);
  write({ rows });
  console.log(profileTable(rows));
}

main(process.argv.slice(2)).catch((error: Error) => {
  process.stderr.write(`${error instanceof UsageError ? `${error.message}\n\n${usage}` : error.message}\n`);
  process.exit(2);
});
