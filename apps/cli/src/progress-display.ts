import { type JobProgress, type JobState, type StageName } from '@pavlov/contracts';
import { MultiBar, type SingleBar } from 'cli-progress';

export interface StageStatus {
  readonly stage: StageName;
  readonly state: JobState;
  readonly progress?: JobProgress;
}

export interface ProgressDisplay {
  update(statuses: readonly StageStatus[]): void;
  close(): void;
}

const thousands = (value: number): string => Math.round(value).toLocaleString('en-US');

/** Speed, the figure to watch, and what is going on; empty until the job has started. */
function details({ state, progress }: StageStatus): string {
  if (state === 'waiting' || state === 'waiting-upstream') return 'waits for its turn';
  if (!progress) return state;
  const speed = progress.tokensPerSecond === undefined ? '' : `${thousands(progress.tokensPerSecond)} tok/s`;
  const headline = progress.headline ? `${progress.headline.name} ${progress.headline.value.toFixed(3)}` : '';
  return [speed, headline, state === 'active' ? progress.phase : state].filter((part) => part !== '').join(' · ');
}

const fractionOf = (status: StageStatus): number =>
  status.state === 'completed' ? 1 : (status.progress?.fraction ?? 0);

/** A bar per stage, redrawn in place. */
function bars(stream: NodeJS.WriteStream): ProgressDisplay {
  const multi = new MultiBar({
    format: '  {stage} {bar} {percentage}%  {details}',
    hideCursor: true,
    stream,
    barsize: 24,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    fps: 8,
  });
  const drawn = new Map<StageName, SingleBar>();
  return {
    update: (statuses) => {
      for (const status of statuses) {
        const payload = { stage: status.stage.padEnd(15), details: details(status) };
        const bar = drawn.get(status.stage) ?? multi.create(100, 0, payload);
        drawn.set(status.stage, bar);
        bar.update(Math.round(fractionOf(status) * 100), payload);
      }
    },
    close: () => multi.stop(),
  };
}

/** For logs and pipes: a line whenever a stage has moved on by a tenth, or changed its state. */
function lines(stream: NodeJS.WritableStream): ProgressDisplay {
  const printed = new Map<StageName, string>();
  return {
    update: (statuses) => {
      for (const status of statuses) {
        if (status.state === 'waiting' || status.state === 'waiting-upstream') continue;
        const tenth = Math.floor(fractionOf(status) * 10);
        const key = `${status.state} ${tenth}`;
        if (printed.get(status.stage) === key) continue;
        printed.set(status.stage, key);
        stream.write(`  ${status.stage.padEnd(15)} ${String(tenth * 10).padStart(3)}%  ${details(status)}\n`);
      }
    },
    close: () => undefined,
  };
}

export function createProgressDisplay(stream: NodeJS.WriteStream): ProgressDisplay {
  return stream.isTTY ? bars(stream) : lines(stream);
}
