import type { Precision } from '@pavlov/tensor';
import { measureOurs, measurePeer, modeOf, type PeerMode, type Way, waysOf } from './sides';
import { shapes } from './shapes';
import { median } from './stopwatch';
import type { Case, Measurement, Settings, Task, TaskPhase } from './task';

/** A machine's own rates, measured like a case. */
export interface AnchorCase {
  readonly phase: 'sgemm' | 'read';
}

/** What all rounds so far have found for a case. */
export interface Found {
  readonly of: Case | AnchorCase;
  unit: string;
  readonly ours: Measurement[];
  /** By what PyTorch's side did. */
  readonly peers: Map<string, Measurement[]>;
}

export interface Sitting {
  readonly precision: Precision;
  readonly found: readonly Found[];
  /** What could not be measured, and why. */
  readonly unavailable: ReadonlyMap<string, string>;
}

const oursName = 'Pavlov';

/** Modes of PPO: Hugging Face TRL where PyTorch's side has it, and TRL's figures from elsewhere. */
const trl = 'TRL';
const reducedTrl = 'TRL bfloat16';
export const scaledTrl = 'TRL, scaled';
type Contender = Way | typeof trl | typeof reducedTrl | typeof scaledTrl;
const trlContenders: Readonly<Record<Precision, readonly Contender[]>> = {
  float32: [trl, scaledTrl],
  bfloat16: [trl, reducedTrl, scaledTrl],
};

/**
 * TRL's PPOTrainer, seconds per update of the same work (4 epochs, one minibatch), measured on a machine on which PyTorch
 * trained the shape tiny, eager and without clipping, at `tokensPerSecond`: what there is to compare with where TRL is not.
 */
export const trlFigures = { seconds: { tiny: 2.74, small: 17.5 }, tokensPerSecond: 12_200 } as const;

/** In the first round every mode is measured; later only those that came this near to the best. */
const worthRepeating = 0.8;

/** For phases whose unit is a rate; the others are better the lower they are. */
export const isRate = (phase: TaskPhase): boolean => !['ppo', 'memory', 'compile'].includes(phase);

/**
 * Measures every case once per round: Pavlov, then each mode of PyTorch, one process after the other, so that nothing else
 * of ours runs meanwhile. `save` sees what there is after each case.
 */
export async function sit(options: {
  readonly cases: readonly (Case | AnchorCase)[];
  readonly rounds: number;
  readonly settings: Settings;
  /** PyTorch's side: the command that runs it, and in which modes. */
  readonly peer?: { readonly command: string; readonly modes: readonly PeerMode[] };
  readonly onMeasured: (line: string) => void;
  readonly save: (sitting: Sitting) => void;
}): Promise<Sitting> {
  const { cases, rounds, settings, peer, onMeasured, save } = options;
  const found = cases.map((of): Found => ({ of, unit: '', ours: [], peers: new Map() }));
  const unavailable = new Map<string, string>();
  const { precision } = settings;
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
      for (const way of peer ? contendersOf(one, { wanted: peer.modes, precision, unavailable }) : []) {
        const measured = await measureContender(peer?.command ?? '', { task, way, of: one.of });
        if ('unavailable' in measured) {
          if (one.of.phase === 'sgemm' && way === 'eager')
            throw new Error(`PyTorch's side cannot run: ${measured.unavailable}`);
          unavailable.set(nameOf(one, way), measured.unavailable);
          continue;
        }
        say(way, measured);
        one.peers.set(way, [...(one.peers.get(way) ?? []), measured]);
      }
      save({ precision, found, unavailable });
    }
  }
  return { precision, found, unavailable };
}

export function describe(of: Case | AnchorCase): string {
  return 'shape' in of ? `${of.phase} ${of.shape} B${of.batch}` : of.phase;
}

function taskOf(of: Case | AnchorCase, settings: Settings): Task {
  const shape = shapes['shape' in of ? of.shape : 'tiny'];
  return { ...settings, phase: of.phase, shape, batch: 'batch' in of ? of.batch : shape.batch };
}

const nameOf = ({ of }: Pick<Found, 'of'>, way: string): string => `${describe(of)}: ${way}`;

/** What PyTorch's side does for a case in this round. */
function contendersOf(
  one: Found,
  { wanted, precision, unavailable }: Pick<Sitting, 'precision' | 'unavailable'> & { wanted: readonly PeerMode[] },
): readonly Contender[] {
  const { of, peers } = one;
  const isAvailable = (way: Contender): boolean => !unavailable.has(nameOf(one, way));
  if (of.phase === 'ppo') return trlContenders[precision].filter(isAvailable);
  const isAnchor = !('shape' in of);
  const ways = waysOf(of.phase, precision).filter(
    (way) => (isAnchor || wanted.includes(modeOf(way))) && isAvailable(way),
  );
  const [best] = [...peers.values()].map((all) => typical(all)).sort(isRate(of.phase) ? descending : ascending);
  const nearness = (way: Way): number => {
    const value = typical(peers.get(way) ?? []);
    return isRate(of.phase) ? value / best : best / value;
  };
  return peers.size === 0 ? ways : ways.filter((way) => nearness(way) >= worthRepeating);
}

const ascending = (a: number, b: number): number => a - b;
const descending = (a: number, b: number): number => b - a;

async function measureContender(
  peer: string,
  { task, way, of }: { task: Task; way: Contender; of: Case | AnchorCase },
) {
  if (way === trl) return measurePeer(peer, { task, way: 'eager' });
  if (way === reducedTrl) return measurePeer(peer, { task, way: 'eager bfloat16' });
  if (way !== scaledTrl) return measurePeer(peer, { task, way });
  const anchor = await measurePeer(peer, {
    task: { ...task, phase: 'train', shape: shapes.tiny, batch: shapes.tiny.batch },
    way: 'eager',
    clip: false,
  });
  if ('unavailable' in anchor) return anchor;
  const { seconds, tokensPerSecond } = trlFigures;
  const there = seconds[(of as Case).shape as keyof typeof seconds];
  return { ...anchor, value: (there * tokensPerSecond) / anchor.value, unit: 's', anchor: anchor.value };
}

/** The median over the rounds. */
export const typical = (measurements: readonly Measurement[]): number => median(measurements.map(({ value }) => value));
