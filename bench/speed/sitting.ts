import { measureOurs, measurePeer, modesOfPhase, type PeerMode } from './sides';
import { shapes } from './shapes';
import { median } from './stopwatch';
import type { Case, Measurement, Task, TaskPhase } from './task';

/** A machine's own rates, measured like a case. */
export interface AnchorCase {
  readonly phase: 'sgemm' | 'read';
}

/** What all rounds so far have found for a case. */
export interface Found {
  readonly of: Case | AnchorCase;
  unit: string;
  readonly ours: Measurement[];
  /** By mode of PyTorch's side. */
  readonly peers: Map<string, Measurement[]>;
}

export interface Sitting {
  readonly found: readonly Found[];
  /** What could not be measured, and why. */
  readonly unavailable: ReadonlyMap<string, string>;
}

const oursName = 'Pavlov';

/** Modes of PPO: Hugging Face TRL where PyTorch's side has it, and TRL's figures from elsewhere. */
const trl = 'TRL';
export const scaledTrl = 'TRL, scaled';
type Mode = PeerMode | typeof trl | typeof scaledTrl;

/**
 * TRL's PPOTrainer, seconds per update of the same work (4 epochs, one minibatch), measured on a machine on which PyTorch
 * trained the shape tiny, eager and without clipping, at `tokensPerSecond`: what there is to compare with where TRL is not.
 */
export const trlFigures = { seconds: { tiny: 2.74, small: 17.5 }, tokensPerSecond: 12_200 } as const;

/** In the first round every mode is measured; later only those that came this near to the best. */
const worthRepeating = 0.8;

/** For phases whose unit is a rate; the others are better the lower they are. */
export const isRate = (phase: TaskPhase): boolean => phase !== 'ppo' && phase !== 'memory';

/**
 * Measures every case once per round: Pavlov, then each mode of PyTorch, one process after the other, so that nothing else
 * of ours runs meanwhile. `save` sees what there is after each case.
 */
export async function sit(options: {
  readonly cases: readonly (Case | AnchorCase)[];
  readonly rounds: number;
  readonly settings: Pick<Task, 'threads' | 'seconds' | 'seed'>;
  /** PyTorch's side: the command that runs it, and in which modes. */
  readonly peer?: { readonly command: string; readonly modes: readonly PeerMode[] };
  readonly onMeasured: (line: string) => void;
  readonly save: (sitting: Sitting) => void;
}): Promise<Sitting> {
  const { cases, rounds, settings, peer, onMeasured, save } = options;
  const found = cases.map((of): Found => ({ of, unit: '', ours: [], peers: new Map() }));
  const unavailable = new Map<string, string>();
  for (let round = 1; round <= rounds; round++) {
    for (const one of found) {
      const task = taskOf(one.of, settings);
      const say = (who: string, { value, unit }: Measurement): void =>
        onMeasured(`round ${round}: ${describe(one.of)}: ${who} ${value.toPrecision(4)} ${unit}`);
      const ours = await measureOurs(task).catch((error: Error) => ({ unavailable: error.message }));
      if ('unavailable' in ours) {
        unavailable.set(nameOf(one, oursName), ours.unavailable);
        continue;
      }
      say(oursName, ours);
      one.unit = ours.unit;
      one.ours.push(ours);
      for (const mode of peer ? modesOf(one, { wanted: peer.modes, unavailable }) : []) {
        const measured = await measureMode(peer?.command ?? '', { task, mode, of: one.of });
        if ('unavailable' in measured) {
          if (one.of.phase === 'sgemm') throw new Error(`PyTorch's side cannot run: ${measured.unavailable}`);
          unavailable.set(nameOf(one, mode), measured.unavailable);
          continue;
        }
        say(mode, measured);
        one.peers.set(mode, [...(one.peers.get(mode) ?? []), measured]);
      }
      save({ found, unavailable });
    }
  }
  return { found, unavailable };
}

export function describe(of: Case | AnchorCase): string {
  return 'shape' in of ? `${of.phase} ${of.shape} B${of.batch}` : of.phase;
}

function taskOf(of: Case | AnchorCase, settings: Pick<Task, 'threads' | 'seconds' | 'seed'>): Task {
  const shape = shapes['shape' in of ? of.shape : 'tiny'];
  return { ...settings, phase: of.phase, shape, batch: 'batch' in of ? of.batch : shape.batch };
}

const nameOf = ({ of }: Pick<Found, 'of'>, mode: string): string => `${describe(of)}: ${mode}`;

/** What PyTorch's side does for a case in this round. */
function modesOf(
  one: Found,
  { wanted, unavailable }: { wanted: readonly PeerMode[]; unavailable: Sitting['unavailable'] },
): readonly Mode[] {
  const { of, peers } = one;
  if (of.phase === 'ppo') return ([trl, scaledTrl] as const).filter((mode) => !unavailable.has(nameOf(one, mode)));
  const possible = modesOfPhase[of.phase];
  const isAnchor = possible.length === 1;
  const modes = possible.filter((mode) => (isAnchor || wanted.includes(mode)) && !unavailable.has(nameOf(one, mode)));
  const [best] = [...peers.values()].map((all) => typical(all)).sort(isRate(of.phase) ? descending : ascending);
  const nearness = (mode: PeerMode): number => {
    const value = typical(peers.get(mode) ?? []);
    return isRate(of.phase) ? value / best : best / value;
  };
  return peers.size === 0 ? modes : modes.filter((mode) => nearness(mode) >= worthRepeating);
}

const ascending = (a: number, b: number): number => a - b;
const descending = (a: number, b: number): number => b - a;

async function measureMode(peer: string, { task, mode, of }: { task: Task; mode: Mode; of: Case | AnchorCase }) {
  if (mode === trl) return measurePeer(peer, { task, mode: 'eager' });
  if (mode !== scaledTrl) return measurePeer(peer, { task, mode });
  const anchor = await measurePeer(peer, {
    task: { ...task, phase: 'train', shape: shapes.tiny, batch: shapes.tiny.batch },
    mode: 'eager',
    clip: false,
  });
  if ('unavailable' in anchor) return anchor;
  const { seconds, tokensPerSecond } = trlFigures;
  const there = seconds[(of as Case).shape as keyof typeof seconds];
  return { ...anchor, value: (there * tokensPerSecond) / anchor.value, unit: 's', anchor: anchor.value };
}

/** The median over the rounds. */
export const typical = (measurements: readonly Measurement[]): number => median(measurements.map(({ value }) => value));
