import { errorBody, PavlovError } from '@pavlov/contracts';
import { type ChildProcess, fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type LogLevel, type StageOutcome } from './trainer-context';
import { type FromTrainer, type ToTrainer, type TrainingOrder } from './trainer-protocol';

/** A trainer that computes cannot speak; one that says nothing for so long hangs. */
const SILENCE_LIMIT_MS = 15 * 60_000;
/** How long a trainer may take to end once it has said how it ended. */
const EXIT_LIMIT_MS = 5000;
const REMEMBERED_LINES = 10;

/** What a trainer tells while it works. */
export type TrainerReport = Extract<FromTrainer, { type: 'progress' | 'metrics' | 'log' }>;

export interface TrainerProcess {
  readonly pid: number | undefined;
  /**
   * Settles once the process has ended.
   *
   * @throws PavlovError what the trainer threw, or TRAINER_CRASHED if it died without a word.
   */
  readonly outcome: Promise<StageOutcome>;
  pause(): void;
  resume(): void;
  /** Asks the trainer to stop at its next step boundary, and kills it after the given time. */
  stop(graceMs: number): void;
}

export interface TrainerOptions {
  /** The compiled `trainer.js`. */
  readonly path: string;
  readonly order: TrainingOrder;
  readonly onReport: (report: TrainerReport) => void;
  /** The trainer has paused itself. */
  readonly onPause: () => void;
}

/** Starts a process of its own for one job: a crash or an out-of-memory kill must not take the service along. */
export function startTrainer({ path, order, onReport, onPause }: TrainerOptions): TrainerProcess {
  const child = fork(path, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], serialization: 'advanced' });
  const tell = (message: ToTrainer): void => void (child.connected && child.send(message, () => undefined));
  let killer: NodeJS.Timeout | undefined;
  tell({ type: 'start', order });
  return {
    pid: child.pid,
    outcome: supervise(child, { onReport, onPause }).finally(() => clearTimeout(killer)),
    pause: () => tell({ type: 'pause' }),
    resume: () => tell({ type: 'resume' }),
    stop: (graceMs) => {
      tell({ type: 'stop' });
      killer ??= setTimeout(() => child.kill('SIGKILL'), graceMs);
    },
  };
}

async function supervise(
  child: ChildProcess,
  { onReport, onPause }: Pick<TrainerOptions, 'onReport' | 'onPause'>,
): Promise<StageOutcome> {
  let last: Extract<FromTrainer, { type: 'done' | 'failed' }> | undefined;
  let startError: Error | undefined;
  const patience = watchdog(() => child.kill('SIGKILL'));
  const complaints = captureOutput(child, (level, message) =>
    onReport({ type: 'log', level, message, fields: { source: 'output' } }),
  );

  child.on('error', (error) => (startError = error));
  child.on('message', (message: FromTrainer) => {
    patience.expect(SILENCE_LIMIT_MS);
    if (message.type === 'done' || message.type === 'failed') {
      last = message;
      patience.expect(EXIT_LIMIT_MS);
    } else if (message.type === 'pause') onPause();
    else if (message.type !== 'alive') onReport(message);
  });
  patience.expect(SILENCE_LIMIT_MS);
  const { code, signal } = await closed(child);
  const silent = patience.end() && last === undefined;

  if (last?.type === 'done') return last.outcome;
  if (last?.type === 'failed') {
    const cause = new Error(last.error.message);
    cause.stack = last.stack;
    throw new PavlovError(errorBody.parse(last.error), { cause });
  }
  throw crash({ code, signal, silent, startError, complaints });
}

/** Resolves when the process has ended and all it printed has been read. */
function closed(child: ChildProcess): Promise<Pick<Death, 'code' | 'signal'>> {
  return new Promise((resolve) => {
    child.once('close', (code: number | null, signal: NodeJS.Signals | null) => resolve({ code, signal }));
    if (child.pid === undefined) child.once('error', () => resolve({ code: null, signal: null })); // it never started
  });
}

function watchdog(bark: () => void): { expect(withinMs: number): void; end(): boolean } {
  let timer: NodeJS.Timeout | undefined;
  let barked = false;
  return {
    expect(withinMs) {
      clearTimeout(timer);
      timer = setTimeout(() => {
        barked = true;
        bark();
      }, withinMs);
    },
    end() {
      clearTimeout(timer);
      return barked;
    },
  };
}

/** Passes on what the process prints; gives its last complaints, which tell why it died. */
function captureOutput(child: ChildProcess, onLine: (level: LogLevel, line: string) => void): string[] {
  const complaints: string[] = [];
  for (const [stream, level] of [
    [child.stdout, 'info'],
    [child.stderr, 'warn'],
  ] as const) {
    if (!stream) continue;
    createInterface({ input: stream }).on('line', (line) => {
      if (line.trim() === '') return;
      onLine(level, line);
      if (level === 'warn' && complaints.push(line) > REMEMBERED_LINES) complaints.shift();
    });
  }
  return complaints;
}

interface Death {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly silent: boolean;
  readonly startError: Error | undefined;
  readonly complaints: readonly string[];
}

function crash({ code, signal, silent, startError, complaints }: Death): PavlovError {
  const how =
    startError?.message ?? (silent ? 'it hung and was killed' : signal ? `killed by ${signal}` : `exit code ${code}`);
  const error = complaints.find((line) => /\berror\b/i.test(line)) ?? complaints.at(-1);
  const memory = signal === 'SIGKILL' || signal === 'SIGABRT' || code === 134;
  return new PavlovError({
    code: 'TRAINER_CRASHED',
    message: `The trainer process died: ${how}.${error === undefined ? '' : ` It said: ${error.trim()}`}`,
    hint:
      memory && !silent
        ? 'It may have run out of memory: try a smaller batch or model, or a machine with more.'
        : 'The job’s log has what it printed last.',
  });
}
