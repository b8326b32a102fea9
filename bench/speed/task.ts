import type { Precision } from '@pavlov/tensor';
import { type Shape, type ShapeName, shapes } from './shapes';

/** What can be asked for on the command line. The machine's own anchors are always measured. */
export const phases = ['train', 'score', 'generate', 'generate-int8', 'ppo', 'memory', 'compile'] as const;
export type Phase = (typeof phases)[number];

export type TaskPhase = Phase | 'sgemm' | 'read' | 'losses';

/** What matrix products read; everything else, and their sums, are float32. */
export const precisions = ['float32', 'bfloat16'] as const satisfies readonly Precision[];

/** One measurement, done by a process of its own on either side. */
export interface Task {
  readonly phase: TaskPhase;
  readonly shape: Shape;
  readonly batch: number;
  /** Of our side; PyTorch's has its own for each way of doing a task. */
  readonly precision: Precision;
  readonly threads: number;
  /** Of timed runs. */
  readonly seconds: number;
  readonly seed: number;
  /** Also tell how long each operator takes. */
  readonly profile?: boolean;
}

/** What all measurements of a sitting have in common. */
export type Settings = Pick<Task, 'precision' | 'threads' | 'seconds' | 'seed'>;

/** What a process answers. */
export interface Measurement {
  readonly value: number;
  readonly unit: string;
  /** Timed runs, whose median the value is. */
  readonly iterations?: number;
  /** Cores that other processes used meanwhile; absent where the system does not tell. */
  readonly others?: number | null;
  /** Of the first training steps, in nats. */
  readonly losses?: readonly number[];
  /** What part of the whole, 0–1: of a training step, clipping and AdamW; of an update of PPO, sampling; … */
  readonly shares?: Readonly<Record<string, number>>;
  /** Of a profile: for each graph, by name, the seconds of one run by kind of operator. */
  readonly graphs?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly versions: Readonly<Record<string, string | number>>;
}

/** A row of the table. */
export interface Case {
  readonly phase: Phase;
  readonly shape: ShapeName;
  readonly batch: number;
}

const generationBatches: Readonly<Record<ShapeName, readonly number[]>> = { tiny: [16, 64], small: [8, 32], gpt2: [2] };
/** Where reading the weights takes most of a step. */
const int8Batches: Readonly<Record<ShapeName, readonly number[]>> = { tiny: [], small: [8], gpt2: [2] };
/** GPT-2 is too large for four networks and their optimisers on an ordinary machine. */
const ppoShapes: readonly ShapeName[] = ['tiny', 'small'];

export function casesOf(wanted: { phases: readonly Phase[]; shapes: readonly ShapeName[] }): Case[] {
  return wanted.phases.flatMap((phase) =>
    wanted.shapes.flatMap((shape) => batchesOf(phase, shape).map((batch) => ({ phase, shape, batch }))),
  );
}

function batchesOf(phase: Phase, shape: ShapeName): readonly number[] {
  if (phase === 'generate') return generationBatches[shape];
  if (phase === 'generate-int8') return int8Batches[shape];
  if (phase === 'ppo' && !ppoShapes.includes(shape)) return [];
  return [shapes[shape].batch];
}
