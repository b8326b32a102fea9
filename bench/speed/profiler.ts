import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { median } from './stopwatch';

/** Seconds of one run of each graph, by kind of operator. */
export type Profile = Readonly<Record<string, number>>;

export interface Profiler {
  /** Ends profiling and adds up what was found. */
  stop(): Profile;
}

/**
 * From now on every session writes ONNX Runtime's own profile. Only for sessions that are made by onnxruntime-node's API,
 * which is where the profiler can be reached; the library and its kernels are the same.
 */
export function startProfiling(): Profiler {
  const folder = mkdtempSync(join(tmpdir(), 'pavlov-profile-'));
  const create = InferenceSession.create.bind(InferenceSession) as (
    model: Uint8Array,
    options: InferenceSession.SessionOptions,
  ) => Promise<InferenceSession>;
  const sessions: InferenceSession[] = [];
  const profiled = async (model: Uint8Array, options: InferenceSession.SessionOptions): Promise<InferenceSession> => {
    const profileFilePrefix = join(folder, `session${sessions.length}`);
    const session = await create(model, { ...options, enableProfiling: true, profileFilePrefix });
    sessions.push(session);
    return session;
  };
  Object.assign(InferenceSession, { create: profiled });
  return {
    stop: () => {
      for (const session of sessions) session.endProfiling();
      const profile = readProfiles(folder);
      rmSync(folder, { recursive: true });
      return profile;
    },
  };
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
 * Adds the nodes of all graphs up by operator. A node counts with the median over its runs, all but the first, which
 * allocates: a process that gets in the way is not mistaken for a slow operator.
 */
function readProfiles(folder: string): Profile {
  const operators: Record<string, number> = {};
  for (const file of readdirSync(folder)) {
    const events = JSON.parse(readFileSync(join(folder, file), 'utf8')) as TraceEvent[];
    for (const { operator, durations } of nodesOf(events).values()) {
      operators[operator] = (operators[operator] ?? 0) + median(durations) / 1e6;
    }
  }
  return operators;
}

function nodesOf(events: readonly TraceEvent[]): Map<string, { operator: string; durations: number[] }> {
  const starts = events.filter(({ name }) => name === 'model_run').map(({ ts }) => ts);
  const second = starts.sort((a, b) => a - b).at(1) ?? Infinity;
  const nodes = new Map<string, { operator: string; durations: number[] }>();
  for (const { cat, name, ts, dur, args } of events) {
    if (cat !== 'Node' || !name.endsWith('_kernel_time') || args?.op_name === undefined || ts < second) continue;
    const node = nodes.get(name) ?? { operator: args.op_name, durations: [] };
    node.durations.push(dur);
    nodes.set(name, node);
  }
  return nodes;
}
