import { openStore } from '@pavlov/checkpoint-store';
import { type JobPayload, type JobProgress, PavlovError, type StageConfigs, type StageName } from '@pavlov/contracts';
import { toPavlovError } from './errors';
import { readLineage } from './lineage';
import { type Train, type TrainerContext } from './trainer-context';
import { type FromTrainer, HEARTBEAT_MS, type ToTrainer, type TrainingOrder } from './trainer-protocol';

/** Progress in between is not worth a message. */
const PROGRESS_MS = 250;

/** The service's side of the trainer: what it has asked for so far. */
interface Wishes {
  paused: boolean;
  stop: boolean;
  /** Wakes whoever waits for a change. */
  changed: () => void;
}

/**
 * Runs one job in this process, which its service has started for it, and ends the process. The whole of a stage's
 * `trainer.ts`.
 */
export function runTrainer<S extends StageName>(stage: S, train: Train<S>): void {
  if (!process.send) {
    process.stderr.write(`This is the trainer of ${stage}. Its service starts it; start the service instead.\n`);
    process.exit(2);
  }
  // A Ctrl-C or a service manager signals the whole group; the service decides what becomes of the job.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  process.once('disconnect', () => process.exit(1)); // the service is gone, and so is the right to go on
  setInterval(() => send({ type: 'alive' }), HEARTBEAT_MS).unref();

  const wishes: Wishes = { paused: false, stop: false, changed: () => undefined };
  process.on('message', (message: ToTrainer) => {
    if (message.type === 'start') void run(train, message.order, wishes);
    else obey(message.type, wishes);
  });
}

function obey(wish: 'pause' | 'resume' | 'stop', wishes: Wishes): void {
  if (wish === 'stop') wishes.stop = true;
  else wishes.paused = wish === 'pause';
  wishes.changed();
}

async function run<S extends StageName>(train: Train<S>, order: TrainingOrder, wishes: Wishes): Promise<void> {
  const progress = throttledProgress();
  try {
    const outcome = await train(createContext<S>(order, wishes, progress.report));
    progress.flush();
    send({ type: 'done', outcome }, () => process.exit(0));
  } catch (thrown) {
    const error = toPavlovError(thrown);
    const { stack } = thrown instanceof Error ? thrown : error;
    send({ type: 'failed', error: error.body, stack }, () => process.exit(0));
  }
}

function createContext<S extends StageName>(
  order: TrainingOrder,
  wishes: Wishes,
  progress: (progress: JobProgress) => void,
): TrainerContext<S> {
  const { attempt, threads, fence } = order;
  const job = order.job as JobPayload<S>;
  const store = openStore({ root: order.storeRoot });
  return {
    job,
    config: job.config as StageConfigs[S],
    seed: job.seed,
    attempt,
    threads,
    store,
    fence,
    lineage: () => readLineage({ job: order.job, attempt, store }),
    checkpoint: () => atBoundary(wishes),
    pause: (reason) => {
      send({ type: 'log', level: 'warn', message: `paused by the job itself: ${reason}` });
      obey('pause', wishes);
      send({ type: 'pause' });
    },
    progress,
    metrics: (step, values) => send({ type: 'metrics', step, values }),
    log: (level, message, fields) => send({ type: 'log', level, message, fields }),
  };
}

async function atBoundary(wishes: Wishes): Promise<void> {
  await new Promise(setImmediate); // computing blocks the event loop: here it turns, and messages come in
  while (wishes.paused && !wishes.stop) await new Promise<void>((resolve) => (wishes.changed = resolve));
  if (!wishes.stop) return;
  throw new PavlovError({ code: 'CANCELLED', message: 'The job was stopped.', hint: 'Retry it to run it again.' });
}

function throttledProgress(): { report(progress: JobProgress): void; flush(): void } {
  let latest: JobProgress | undefined;
  let sentAt = -Infinity;
  const flush = (): void => {
    if (latest) send({ type: 'progress', progress: latest });
    latest = undefined;
    sentAt = performance.now();
  };
  return {
    report(progress) {
      latest = progress;
      if (performance.now() - sentAt >= PROGRESS_MS) flush();
    },
    flush,
  };
}

function send(message: FromTrainer, sent: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, undefined, undefined, sent);
}
