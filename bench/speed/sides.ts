import type { Precision } from '@pavlov/tensor';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Measurement, Task, TaskPhase } from './task';

/** Ways in which PyTorch can do a task; bench/peer/gpt2.py says what they are. The best counts. */
export const peerModes = ['eager', 'compile', 'packed', 'transformers'] as const;
export type PeerMode = (typeof peerModes)[number];

/** A mode, and what it computes in: `packed`, or `packed bfloat16`. */
export type Way = PeerMode | `${PeerMode} bfloat16`;

/** Modes that there are for a phase. */
const modesOfPhase: Readonly<Record<Exclude<TaskPhase, 'ppo'>, readonly PeerMode[]>> = {
  sgemm: ['eager'],
  read: ['eager'],
  losses: ['eager'],
  train: ['eager', 'compile', 'transformers'],
  score: ['eager', 'packed', 'compile', 'transformers'],
  generate: ['eager', 'packed', 'compile', 'transformers'],
  // Beside PyTorch in float32.
  'generate-int8': ['eager', 'packed', 'compile', 'transformers'],
  memory: ['eager', 'compile'],
  compile: [],
};

/** Phases that bfloat16 does nothing for: they multiply no matrices. */
const withoutProducts: readonly TaskPhase[] = ['read'];

/** In a sitting in bfloat16 PyTorch may also compute in float32, where that is faster. */
export function waysOf(phase: Exclude<TaskPhase, 'ppo'>, precision: Precision): readonly Way[] {
  const modes = modesOfPhase[phase];
  if (precision === 'float32' || withoutProducts.includes(phase)) return modes;
  return [...modes, ...modes.map((mode): Way => `${mode} bfloat16`)];
}

const isReduced = (way: Way): boolean => way.endsWith(' bfloat16');

/** The mode of a way. */
export const modeOf = (way: Way): PeerMode => peerModes.find((mode) => way.startsWith(mode))!;

export interface Unavailable {
  readonly unavailable: string;
}

/** Measures Pavlov, in a process of its own. */
export async function measureOurs(task: Task): Promise<Measurement> {
  const { answer, problem } = await lastLine(process.execPath, [
    join(__dirname, 'speed.worker.js'),
    JSON.stringify(task),
  ]);
  if (answer === undefined) throw new Error(`Pavlov's side failed at ${task.phase}, batch ${task.batch}:\n${problem}`);
  return answer as Measurement;
}

/** Measures PyTorch, in a process of its own; `unavailable` where the installation lacks the mode, or the run failed. */
export async function measurePeer(
  command: string,
  { task, way, clip = true }: { task: Omit<Task, 'precision'>; way: Way; clip?: boolean },
): Promise<Measurement | Unavailable> {
  const { model, length, prompt, answer: answerLength } = task.shape;
  const flags = {
    phase: task.phase === 'generate-int8' ? 'generate' : task.phase,
    mode: modeOf(way),
    precision: isReduced(way) ? 'bfloat16' : 'float32',
    layers: model.layers,
    heads: model.heads,
    width: model.width,
    context: model.contextLength,
    vocab: model.vocabSize,
    length,
    prompt,
    answer: answerLength,
    batch: task.batch,
    threads: task.threads,
    seconds: task.seconds,
    seed: task.seed,
  };
  const words = Object.entries(flags).map(([name, value]) => `--${name} ${value}`);
  const { answer, problem } = await lastLine([command, ...words, ...(clip ? [] : ['--no-clip'])].join(' '));
  return (answer as Measurement | Unavailable | undefined) ?? { unavailable: problem };
}

/**
 * The last line of JSON that a process prints; without `args`, the command is one for the shell. A process that answers and
 * then fails to end well has answered all the same.
 */
function lastLine(command: string, args?: readonly string[]): Promise<{ answer: unknown; problem: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args ?? [], { shell: args === undefined, stdio: ['ignore', 'pipe', 'pipe'] });
    let [output, problem] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (problem = (problem + chunk.toString()).slice(-2000)));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      const line = output.trim().split('\n').at(-1) ?? '';
      const answer: unknown = line.startsWith('{') ? JSON.parse(line) : undefined;
      const said = problem.trim() || `it ended with ${signal ?? `code ${code}`} and said nothing`;
      resolve({ answer, problem: said });
    });
  });
}
