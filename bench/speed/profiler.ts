import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from './stopwatch';

/** Seconds of one run of a graph, by kind of operator. */
export type Profile = Readonly<Record<string, number>>;

/** Runs `work` with a folder for an engine's profiles, and reads what it finds there, by the names of the functions. */
export async function withProfiles<R>(
  work: (profileFolder: string) => Promise<R>,
): Promise<{ result: R; graphs: Record<string, Profile> }> {
  const folder = mkdtempSync(join(tmpdir(), 'pavlov-profile-'));
  try {
    const result = await work(folder);
    const graphs = readdirSync(folder).map((file) => {
      const [name] = file.split('_'); // then the time
      return [name, readProfile(readFileSync(join(folder, file), 'utf8'))] as const;
    });
    const ran = graphs.filter(([, profile]) => Object.keys(profile).length > 0);
    return { result, graphs: Object.fromEntries(ran) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An event of a profile. */
interface TraceEvent {
  readonly cat?: string;
  readonly name: string;
  /** Microseconds. */
  readonly ts: number;
  readonly dur: number;
  readonly args?: { readonly op_name?: string };
}

/**
 * Adds the nodes of a graph up by operator. A node counts with the median over its runs, all but the first, which
 * allocates: a process that gets in the way is not mistaken for a slow operator.
 */
function readProfile(text: string): Profile {
  const operators: Record<string, number> = {};
  for (const { operator, durations } of nodesOf(JSON.parse(text) as TraceEvent[]).values()) {
    operators[operator] = (operators[operator] ?? 0) + median(durations) / 1e6;
  }
  return operators;
}

function nodesOf(events: readonly TraceEvent[]): Map<string, { operator: string; durations: number[] }> {
  const starts = events.filter(({ name }) => name === 'model_run').map(({ ts }) => ts);
  const second = starts.sort((a, b) => a - b).at(1) ?? Infinity;
  const nodes = new Map<string, { operator: string; durations: number[] }>();
  for (const { cat, name, ts, dur, args } of events) {
    if (cat !== 'Node' || !name.endsWith('_kernel_time') || args?.op_name === undefined || ts < second) continue;
    const node = nodes.get(name) ?? { operator: args.op_name.replace(/_\d+$/, ''), durations: [] };
    node.durations.push(dur);
    nodes.set(name, node);
  }
  return nodes;
}
