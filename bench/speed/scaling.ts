import { availableParallelism } from 'node:os';
import { costOf } from './limits';
import { columns } from './report';
import { describeShape, modelOf, type Shape, shapes } from './shapes';
import { measureOurs } from './sides';
import type { Settings, Task } from './task';

/** A row as `--json` writes it. */
export interface ScalingRow {
  /** What grows from row to row. */
  readonly axis: 'batch' | 'context' | 'width' | 'threads';
  readonly shape: string;
  readonly batch: number;
  readonly threads: number;
  readonly ours: number;
  readonly unit: string;
  readonly gflops: number;
  readonly others: number | null;
}

type Point = Pick<ScalingRow, 'axis'> & Pick<Task, 'shape' | 'batch' | 'threads'>;

/** Room of heads, the same at every width. */
const headWidth = 32;

/** The shape tiny, with one thing changed. */
function tinyWith(change: { width?: number; length?: number }): Shape {
  const { model, ...rest } = shapes.tiny;
  const { width = model.width, length = rest.length } = change;
  const heads = width / headWidth;
  return { ...rest, length, model: modelOf({ ...model, width, heads, contextLength: length }) };
}

function pointsOf(threads: number): Point[] {
  const { batch, length } = shapes.tiny;
  const tokens = batch * length;
  const counts = [1, 2, 4, 8, 16].filter((count) => count <= availableParallelism());
  return [
    ...[1, 4, 16, 64].map((batch) => ({ axis: 'batch' as const, shape: shapes.tiny, batch, threads })),
    ...[32, 128, 512, 1024].map((length) => ({
      axis: 'context' as const,
      shape: tinyWith({ length }),
      batch: tokens / length,
      threads,
    })),
    ...[64, 128, 256, 512].map((width) => ({ axis: 'width' as const, shape: tinyWith({ width }), batch, threads })),
    ...[shapes.tiny, shapes.small].flatMap((shape) =>
      counts.map((threads) => ({ axis: 'threads' as const, shape, batch: shape.batch, threads })),
    ),
  ];
}

/** Tokens per second of training as the work grows: batch, context at the same number of tokens, width, threads. */
export async function measureScaling(settings: Settings, onMeasured: (line: string) => void): Promise<ScalingRow[]> {
  const rows: ScalingRow[] = [];
  for (const { axis, ...point } of pointsOf(settings.threads)) {
    const task: Task = { ...settings, ...point, phase: 'train' };
    const { value, unit, others } = await measureOurs(task);
    const { shape, batch, threads } = point;
    const flops = costOf(task)?.flops ?? NaN;
    rows.push({
      axis,
      shape: describeShape(shape),
      batch,
      threads,
      ours: value,
      unit,
      gflops: (value * flops) / 1e9,
      others: others ?? null,
    });
    onMeasured(`${axis}: ${describeShape(shape)} B${batch}, ${threads} threads: ${value.toFixed(0)} ${unit}`);
  }
  return rows;
}

export function scalingTable(rows: readonly ScalingRow[]): string {
  const cells = rows.map(({ axis, shape, batch, threads, ours, gflops, others }) => [
    axis,
    shape,
    String(batch),
    String(threads),
    ours.toFixed(0),
    gflops.toFixed(1),
    others === null ? '' : others.toFixed(1),
  ]);
  return columns([['grows', 'model', 'batch', 'threads', 'tokens/s', 'GFLOP/s', 'others'], ...cells]);
}
