import { type Store } from '@pavlov/checkpoint-store';
import { stageConfigs, type JobProgress, type StageConfigs, type StageName } from '@pavlov/contracts';
import { type LogLevel, readLineage, type TrainerContext } from '@pavlov/service-kit';

/** A trainer's context without a service around it, and what the trainer has told it. */
export interface TestTrainerContext<S extends StageName> extends TrainerContext<S> {
  /** Every point of every curve, in order. */
  readonly curves: readonly { readonly step: number; readonly values: Readonly<Record<string, number>> }[];
  readonly reported: readonly JobProgress[];
  /** Why it paused itself, each time; nothing keeps it waiting. */
  readonly pauses: readonly string[];
  readonly logged: readonly { readonly level: LogLevel; readonly message: string }[];
}

/** Runs a stage's `train` in the test's own process: `train(await createTrainerContext({ … }))`. */
export async function createTrainerContext<S extends StageName>(options: {
  stage: S;
  jobId: string;
  config: unknown;
  seed: number;
  threads: number;
  store: Store;
}): Promise<TestTrainerContext<S>> {
  const { stage, jobId, seed, threads, store } = options;
  const config = stageConfigs[stage].parse(options.config) as StageConfigs[S];
  const job = { jobId, stage, seed, config };
  const curves: { step: number; values: Readonly<Record<string, number>> }[] = [];
  const reported: JobProgress[] = [];
  const pauses: string[] = [];
  const logged: { level: LogLevel; message: string }[] = [];
  return {
    job,
    config,
    seed,
    threads,
    store,
    attempt: 1,
    fence: await store.claim(jobId, 1),
    lineage: () => readLineage({ job, attempt: 1, store }),
    checkpoint: () => Promise.resolve(),
    progress: (progress) => void reported.push(progress),
    metrics: (step, values) => void curves.push({ step, values }),
    pause: (reason) => void pauses.push(reason),
    log: (level, message) => void logged.push({ level, message }),
    curves,
    reported,
    pauses,
    logged,
  };
}
