import { transformerLayout } from '@pavlov/model';
import { allocateParameters, type Engine } from '@pavlov/tensor';
import { compileLmStep, createLearner } from '@pavlov/training';
import { fill, tokens } from './numbers';
import type { Task } from './task';

/** As in nanoGPT and in bench/peer/training.py; decay spares vectors on both sides. */
const optimiser = {
  weightDecay: 0.1,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  epsilonPlacement: 'pytorch',
  clipNorm: 1,
} as const;
const learningRate = 3e-4;

export interface TrainingStep {
  /** In nats. */
  readonly loss: number;
  /** Of the whole step, the part that clipping and AdamW took; 0–1. */
  readonly updateShare: number;
}

/** How long it takes until the graph of a training step can run, in a fresh process. */
export async function compilingSeconds(engine: Engine, task: Pick<Task, 'shape' | 'batch'>): Promise<number> {
  let seconds = 0;
  const compile: Engine['compile'] = async (...source) => {
    const started = performance.now();
    const compiled = await engine.compile(...source);
    seconds += (performance.now() - started) / 1000;
    return compiled;
  };
  const step = await compileTraining({ ...engine, compile }, task);
  await step(); // it is compiled when its shape first occurs
  return seconds;
}

/** A training step as the stages do it, forward to AdamW, on one batch again and again. */
export async function compileTraining(
  engine: Engine,
  { shape: { model, length }, batch }: Pick<Task, 'shape' | 'batch'>,
): Promise<() => Promise<TrainingStep>> {
  const parameters = allocateParameters(transformerLayout(model, 'lm'));
  fill(parameters);
  const learner = createLearner(parameters, optimiser);
  const step = compileLmStep(engine, { model, rows: batch, columns: length });
  const text = tokens(model, { rows: batch, columns: length + 1 });
  const grid = {
    tokens: Int32Array.from({ length: batch * length }, (_, i) => text[i + Math.floor(i / length)]),
    targets: Int32Array.from({ length: batch * length }, (_, i) => text[i + Math.floor(i / length) + 1]),
    mask: new Float32Array(batch * length).fill(1),
  };
  return async () => {
    const started = performance.now();
    const { loss } = await step.gradients(learner, grid);
    const between = performance.now();
    learner.update({ learningRate, losses: { loss } });
    const ended = performance.now();
    return { loss, updateShare: (ended - between) / (ended - started) };
  };
}
