import type { Precision } from '@pavlov/tensor';
import { costOf } from './limits';
import { shapes } from './shapes';
import { describe, type Found, isRate, scaledTrl, type Sitting, trlFigures, typical } from './sitting';
import { median } from './stopwatch';
import type { Case, Measurement, TaskPhase } from './task';

/** A row as `--json` writes it. */
export interface Row {
  readonly phase: TaskPhase;
  readonly shape: string | null;
  readonly batch: number | null;
  /** Of our side. PyTorch may have been faster in float32: `peerMode` says what it computed in. */
  readonly precision: Precision;
  readonly unit: string;
  /** Medians over the rounds; PyTorch's of what was best. */
  readonly ours: number;
  readonly peer: number | null;
  /** How many times as fast Pavlov is; for memory, how many times as much it takes. */
  readonly ratio: number | null;
  readonly peerMode: string | null;
  /** Every mode's median. */
  readonly peerModes: Readonly<Record<string, number>>;
  /** Every round. */
  readonly oursByRound: readonly number[];
  readonly peerByRound: readonly number[];
  /** Of the machine's sgemm rate, and of its read bandwidth, the better side's. */
  readonly ofSgemm: number | null;
  readonly ofRead: number | null;
  /** Most cores that other processes used while one of the two was measured. */
  readonly others: number | null;
  /** Parts of the whole, 0–1. */
  readonly oursShares: Readonly<Record<string, number>>;
  readonly peerShares: Readonly<Record<string, number>>;
}

export function rowsOf({ precision, found }: Sitting): Row[] {
  const anchor = (phase: TaskPhase): number => {
    const one = found.find(({ of }) => of.phase === phase);
    return one ? Math.max(typical(one.ours), ...[...one.peers.values()].map(typical)) : NaN;
  };
  const rates = { sgemm: anchor('sgemm'), read: anchor('read') };
  return found.filter(({ ours }) => ours.length > 0).map((one) => rowOf(one, { ...rates, precision }));
}

function rowOf(
  { of, unit, ours, peers }: Found,
  { precision, ...rates }: { precision: Precision; sgemm: number; read: number },
): Row {
  const value = typical(ours);
  const [best] = [...peers].sort(([, a], [, b]) => (isRate(of.phase) ? 1 : -1) * (typical(b) - typical(a)));
  const peer = best ? typical(best[1]) : null;
  const cost = 'shape' in of ? costOf({ ...of, precision, shape: shapes[of.shape] }) : undefined;
  const measured = [...ours, ...(best?.[1] ?? [])];
  const perSecond = of.phase === 'ppo' ? 1 / value : value;
  const others = measured.flatMap(({ others }) => (typeof others === 'number' ? [others] : []));
  return {
    phase: of.phase,
    shape: 'shape' in of ? of.shape : null,
    batch: 'shape' in of ? of.batch : null,
    precision,
    unit,
    ours: value,
    peer,
    ratio: peer === null ? null : of.phase === 'ppo' ? peer / value : value / peer,
    peerMode: best?.[0] ?? null,
    peerModes: Object.fromEntries([...peers].map(([mode, all]) => [mode, typical(all)])),
    oursByRound: ours.map((one) => one.value),
    peerByRound: best?.[1].map((one) => one.value) ?? [],
    ofSgemm: cost?.flops === undefined ? null : (perSecond * cost.flops) / 1e9 / rates.sgemm,
    ofRead: cost?.bytes === undefined ? null : (value * cost.bytes) / 1e9 / rates.read,
    others: others.length > 0 ? Math.max(...others) : null,
    oursShares: sharesOf(ours),
    peerShares: sharesOf(best?.[1] ?? []),
  };
}

/** The table for people. */
export function table(rows: readonly Row[]): string {
  const withPeer = rows.some(({ peer }) => peer !== null);
  const header = [
    'phase',
    'shape',
    'batch',
    'precision',
    'Pavlov',
    ...(withPeer ? ['PyTorch', 'mode', 'ratio'] : []),
    'unit',
  ];
  const lines = rows.map((row) => [
    row.phase,
    row.shape ?? '',
    String(row.batch ?? ''),
    row.precision,
    figure(row.ours),
    ...(withPeer ? [figure(row.peer), row.peerMode ?? '', row.ratio === null ? '' : `${row.ratio.toFixed(2)} ×`] : []),
    row.unit,
    share(row),
    row.others === null ? '' : row.others.toFixed(1),
    note(row),
  ]);
  return columns([[...header, 'of the limit', 'others', ''], ...lines]);
}

const figure = (value: number | null): string =>
  value === null ? '' : value >= 100 ? value.toFixed(0) : value.toPrecision(3);

const percent = (part: number): string => `${Math.round(part * 100)} %`;

/** Sampling is bound by whichever it comes nearer to. */
function share({ ofSgemm, ofRead }: Row): string {
  if (ofSgemm === null && ofRead === null) return '';
  return (ofRead ?? 0) > (ofSgemm ?? 0) ? `${percent(ofRead ?? 0)} read` : `${percent(ofSgemm ?? 0)} sgemm`;
}

function note({ oursShares, peerShares }: Row): string {
  return Object.entries(oursShares)
    .map(([name, part]) => `${name} ${percent(part)}${name in peerShares ? ` and ${percent(peerShares[name])}` : ''}`)
    .join(', ');
}

/** The median of each share over the rounds. */
function sharesOf(measurements: readonly Measurement[]): Record<string, number> {
  const names = Object.keys(measurements[0]?.shares ?? {});
  return Object.fromEntries(names.map((name) => [name, median(measurements.map(({ shares }) => shares?.[name] ?? 0))]));
}

/** Aligned text: numbers to the right, words to the left. */
export function columns(lines: readonly (readonly string[])[]): string {
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const isNumeric = lines[0].map((_, column) => /^[\d.]+( [×%])?$/.test(lines.at(-1)?.[column] ?? ''));
  return lines
    .map((line) =>
      line
        .map((cell, column) => (isNumeric[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** What the reader must know of the rows. */
export function footnotes({ found, unavailable }: Sitting): string[] {
  const notes: string[] = [];
  const ppo = found.filter(({ of, peers }) => of.phase === 'ppo' && peers.has(scaledTrl));
  for (const { of, peers } of ppo) {
    const { seconds, tokensPerSecond } = trlFigures;
    const there = seconds[(of as Case).shape as keyof typeof seconds];
    const scaled = typical(peers.get(scaledTrl) ?? []);
    const here = (there * tokensPerSecond) / scaled;
    notes.push(
      `${describe(of)}: TRL's PPOTrainer took ${there} s where PyTorch trained tiny (eager, no clipping) at ` +
        `${tokensPerSecond} tokens/s; here that is ${here.toFixed(0)} tokens/s, so ${there} · ${tokensPerSecond} / ${here.toFixed(0)} = ${figure(scaled)} s.`,
    );
  }
  for (const [what, why] of unavailable) notes.push(`${what}: not measured: ${gist(why)}`);
  return notes;
}

/** The line of an error's output that says what it is; Python has it last. */
function gist(output: string): string {
  const lines = output.split('\n');
  return (lines.findLast((line) => /^\w*Error\b/.test(line.trim())) ?? lines.at(-1) ?? '').trim();
}
