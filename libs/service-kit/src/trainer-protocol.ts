import { type Fence } from '@pavlov/checkpoint-store';
import { type ErrorBody, type JobPayload, type JobProgress } from '@pavlov/contracts';
import { type LogLevel, type StageOutcome } from './trainer-context';

/** What a service tells its trainer process. `start` comes first, once. */
export type ToTrainer =
  { readonly type: 'start'; readonly order: TrainingOrder } | { readonly type: 'pause' | 'resume' | 'stop' };

export interface TrainingOrder {
  readonly job: JobPayload;
  readonly attempt: number;
  readonly threads: number;
  readonly storeRoot: string;
  readonly fence: Fence;
}

/** What a trainer process tells its service. `done` or `failed` comes last, unless the process dies. */
export type FromTrainer =
  | { readonly type: 'alive' }
  | { readonly type: 'progress'; readonly progress: JobProgress }
  | { readonly type: 'metrics'; readonly step: number; readonly values: Readonly<Record<string, number>> }
  | {
      readonly type: 'log';
      readonly level: LogLevel;
      readonly message: string;
      readonly fields?: Readonly<Record<string, unknown>>;
    }
  /** The trainer has paused itself. */
  | { readonly type: 'pause' }
  | { readonly type: 'done'; readonly outcome: StageOutcome }
  | { readonly type: 'failed'; readonly error: ErrorBody; readonly stack?: string };

/** How often a trainer says that it lives, while it does not compute. */
export const HEARTBEAT_MS = 5000;
