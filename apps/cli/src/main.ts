import { parseArgs } from 'node:util';
import { runDemo } from './demo';
import { runDown, runUp } from './up';

const usage = `pavlov <command>

  up     start Redis, the gateway and every stage service, and stay up
         --port N      port of the gateway (7280)
         --home DIR    where models, datasets and logs are kept (.pavlov)
  down   take down what \`up\` or \`demo\` left running
  demo   start the same services and train the demo model through them
         --report FILE write the table as JSON
         --exit        take the services down at the end
         --seed N      seed of the world and of every stage (1)
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      port: { type: 'string', default: '7280' },
      home: { type: 'string', default: process.env.PAVLOV_HOME ?? '.pavlov' },
      report: { type: 'string' },
      exit: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
  const port = Number(values.port);
  const seed = Number(values.seed);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new Error(`--port must be a port number, not “${values.port}”.`);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new Error(`--seed must be a whole number from 0, not “${values.seed}”.`);
  const [command] = positionals;
  if (command === 'up') return runUp({ home: values.home, port });
  if (command === 'down') return runDown({ home: values.home });
  if (command === 'demo')
    return runDemo({ home: values.home, port, seed, reportFile: values.report, exit: values.exit });
  process.stdout.write(usage);
  return values.help ? 0 : 2;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`\n${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
