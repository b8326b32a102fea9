import type { Precision } from '@pavlov/tensor';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { shapeNames, type ShapeName } from './shapes';
import { peerModes, type PeerMode } from './sides';
import { phases, type Phase, precisions } from './task';

export const usage = `npm run bench                        Pavlov alone
npm run bench -- --peer [COMMAND]    both sides in turn, and ratios; COMMAND runs bench/peer/gpt2.py, by default
                                     $PAVLOV_BENCH_PEER, or else python3 bench/peer/gpt2.py
npm run bench -- --scaling           tokens/s of training against batch, context, width and threads
npm run bench -- --profile           where the time of a run goes, by operator

--phases ${phases.join(',')}    --shapes ${shapeNames.join(',')}
--modes ${peerModes.join(',')}    of PyTorch's side
--precision ${precisions.join('|')}    what matrix products read (float32); PyTorch is then measured in both
--rounds N     every case once per round; medians over the rounds (3)
--seconds S    timed runs of one measurement (3)
--threads N    (all)                   --seed N   of what is sampled (1)
--json FILE    rows and environment as JSON`;

export interface Options {
  /** The command that runs PyTorch's side; undefined for Pavlov alone. */
  readonly peer: string | undefined;
  readonly mode: 'sitting' | 'scaling' | 'profile';
  readonly json: string | undefined;
  readonly phases: readonly Phase[];
  readonly shapes: readonly ShapeName[];
  /** Of PyTorch's side. */
  readonly modes: readonly PeerMode[];
  readonly precision: Precision;
  readonly rounds: number;
  readonly seconds: number;
  readonly threads: number;
  readonly seed: number;
}

/** A command line that cannot be understood. */
export class UsageError extends Error {}

const defaultPeer = 'python3 bench/peer/gpt2.py';

/** @throws UsageError */
export function readOptions(args: readonly string[]): Options {
  const { values } = parse(args);
  const number = (name: 'rounds' | 'seconds' | 'threads' | 'seed', fallback: number): number => {
    const value = Number(values[name] ?? fallback);
    if (!(value > 0) || (name !== 'seconds' && !Number.isInteger(value)))
      throw new UsageError(`--${name} must be a positive ${name === 'seconds' ? '' : 'whole '}number`);
    return value;
  };
  return {
    peer: values.peer === undefined ? undefined : values.peer || process.env.PAVLOV_BENCH_PEER || defaultPeer,
    mode: values.scaling ? 'scaling' : values.profile ? 'profile' : 'sitting',
    json: values.json,
    phases: names('phases', values.phases, phases),
    shapes: names('shapes', values.shapes, shapeNames),
    modes: names('modes', values.modes, peerModes),
    precision: name('precision', values.precision ?? 'float32', precisions),
    rounds: number('rounds', 3),
    seconds: number('seconds', 3),
    threads: number('threads', availableParallelism()),
    seed: number('seed', 1),
  };
}

function parse(args: readonly string[]) {
  // The command may be left out, which parseArgs does not know.
  const given = args.map((arg, i) => (arg === '--peer' && /^(--.*)?$/.test(args[i + 1] ?? '') ? '--peer=' : arg));
  const [text, flag] = [{ type: 'string' }, { type: 'boolean' }] as const;
  const numbers = { rounds: text, seconds: text, threads: text, seed: text };
  const names = { phases: text, shapes: text, modes: text, precision: text };
  try {
    return parseArgs({
      args: given,
      options: { ...numbers, ...names, peer: text, json: text, scaling: flag, profile: flag },
      allowPositionals: false,
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function names<N extends string>(option: string, given: string | undefined, known: readonly N[]): readonly N[] {
  if (given === undefined) return known;
  return given.split(',').map((one) => name(option, one, known));
}

function name<N extends string>(option: string, given: string, known: readonly N[]): N {
  const found = known.find((one) => one === given);
  if (found === undefined) throw new UsageError(`--${option}: "${given}" is none of ${known.join(', ')}`);
  return found;
}
