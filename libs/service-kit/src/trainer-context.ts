import {
  type JobPayload,
  type JobProgress,
  type JobResult,
  type Lineage,
  type logLevels,
  type StageConfigs,
  type StageName,
} from '@pavlov/contracts';
import { type Fence, type Store } from '@pavlov/checkpoint-store';

/** One stage's work, run in a process of its own: reads artefacts, publishes one under the job's id. */
export type Train<S extends StageName> = (context: TrainerContext<S>) => Promise<StageOutcome>;

export type StageOutcome = Pick<JobResult, 'metrics' | 'tokens'>;

export type LogLevel = (typeof logLevels)[number];

export interface TrainerContext<S extends StageName> {
  readonly job: JobPayload<S>;
  readonly config: StageConfigs[S];
  readonly seed: number;
  /** Counts how often the job was started, from 1. */
  readonly attempt: number;
  /** Threads to compute with. They change the speed, never the result. */
  readonly threads: number;
  readonly store: Store;
  /** Goes into every `publish`. */
  readonly fence: Fence;
  /** Where the job's artefact will come from. @throws PavlovError CHECKPOINT_NOT_FOUND, DATASET_NOT_FOUND. */
  lineage(): Promise<Lineage>;
  /**
   * To be awaited at every step boundary. Stays pending while the job is paused.
   *
   * @throws PavlovError CANCELLED when the job was cancelled or its service is shutting down. Let it pass.
   */
  checkpoint(): Promise<void>;
  /**
   * Pauses the job from within, as an operator would: the next `checkpoint()` stays pending until someone resumes it.
   * The reason goes into the log as a warning.
   */
  pause(reason: string): void;
  /** How far the job is. Cheap: only the latest of a quarter of a second is passed on. */
  progress(progress: JobProgress): void;
  /** A point of each named curve. Every call is kept. */
  metrics(step: number, values: Readonly<Record<string, number>>): void;
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
}
