/** Measures one task in a process of its own: `node speed.worker.js '<task as JSON>'` prints one line of JSON. */
import { createEngine, type Engine, type EngineOptions } from '@pavlov/tensor';
import { version as onnxruntime } from 'onnxruntime-node/package.json';
import { compileGeneration, compileScoring } from './infer';
import { compileRead, compileSgemm } from './machine';
import { measurePpo } from './ppo';
import { withProfiles } from './profiler';
import { measure, median, peakMib } from './stopwatch';
import type { Measurement, Task } from './task';
import { compileTraining, compilingSeconds } from './train';

type Result = Omit<Measurement, 'versions'>;

/** Steps before memory is read, by which time buffers have their final size. */
const memorySteps = 3;
/** Steps whose losses are compared. */
const comparedSteps = 10;

async function measureTask(engine: Engine, task: Task): Promise<Result> {
  const { phase, shape, batch } = task;
  const rate = (tokens: number, seconds: number): Pick<Result, 'value' | 'unit'> => ({
    value: tokens / seconds,
    unit: 'tokens/s',
  });
  switch (phase) {
    case 'train': {
      const step = await compileTraining(engine, task);
      const shares: number[] = [];
      const { seconds, ...timing } = await measure(async () => shares.push((await step()).updateShare), task);
      return { ...rate(batch * shape.length, seconds), ...timing, shares: { 'clip and AdamW': median(shares) } };
    }
    case 'score': {
      const { seconds, ...timing } = await measure(await compileScoring(engine, task), task);
      return { ...rate(batch * shape.length, seconds), ...timing };
    }
    case 'generate':
    case 'generate-int8': {
      const { seconds, ...timing } = await measure(await compileGeneration(engine, task), task);
      return { ...rate(batch * shape.answer, seconds), ...timing };
    }
    case 'memory': {
      const idle = peakMib();
      await firstLosses(engine, task, memorySteps);
      const peak = peakMib();
      return { value: peak, unit: 'MiB', shares: { idle: idle / peak } };
    }
    case 'compile':
      return { value: await compilingSeconds(engine, task), unit: 's' };
    case 'losses': {
      const losses = await firstLosses(engine, task, comparedSteps);
      return { value: losses[losses.length - 1], unit: 'nats', losses };
    }
    case 'ppo':
      return measurePpo(task);
    case 'sgemm':
    case 'read': {
      const { run, billions } = await { sgemm: compileSgemm, read: compileRead }[phase](engine);
      const { seconds, ...timing } = await measure(run, task);
      return { value: billions / seconds, unit: phase === 'sgemm' ? 'GFLOP/s' : 'GB/s', ...timing };
    }
    default:
      return phase satisfies never;
  }
}

async function firstLosses(engine: Engine, task: Task, count: number): Promise<number[]> {
  const step = await compileTraining(engine, task);
  const losses: number[] = [];
  while (losses.length < count) losses.push((await step()).loss);
  return losses;
}

async function measureWith(options: EngineOptions, task: Task): Promise<Measurement> {
  using engine = await createEngine(options);
  const versions = { node: process.version, onnxruntime, binding: engine.binding ?? engine.backend };
  return { ...(await measureTask(engine, task)), versions };
}

async function measureProfiled(task: Task): Promise<Measurement> {
  const { threads, precision } = task;
  const { result, graphs } = await withProfiles((profileFolder) =>
    measureWith({ threads, precision, profileFolder }, task),
  );
  return { ...result, graphs };
}

async function main(): Promise<void> {
  const task = JSON.parse(process.argv[2]) as Task;
  const { threads, precision } = task;
  const measured = task.profile ? await measureProfiled(task) : await measureWith({ threads, precision }, task);
  process.stdout.write(`${JSON.stringify(measured)}\n`);
}

void main();
