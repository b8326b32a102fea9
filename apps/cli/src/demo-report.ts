import { stages, type EvaluationReport, type JobView, type PipelineView, type StageName } from '@pavlov/contracts';
import { fixed, percent, renderTable, whole } from './table';

/** The demo's outcome, as `--report` writes it. Shares are 0–1; what a stage does not have is null. */
export interface DemoReport {
  readonly seconds: number;
  readonly seed: number;
  readonly pipeline: string;
  readonly prompts: number;
  readonly temperature: number;
  readonly stages: readonly StageReport[];
  /** Of the reward model, on held-out pairs. */
  readonly pairAccuracy: number | null;
  /** The pair accuracy of a judge who knew the true utilities: the labels are noisy. */
  readonly noiseCeiling: number | null;
}

export interface StageReport {
  readonly name: StageName;
  readonly politeAndCorrect: number | null;
  readonly polite: number | null;
  readonly correct: number | null;
  /** KL of the stage's policy to the SFT policy, in nats per answer. */
  readonly klToSft: number | null;
  readonly reward: number | null;
  readonly seconds: number;
  readonly tokensPerSecond: number;
}

export function demoReport(input: {
  pipeline: PipelineView;
  evaluation: EvaluationReport;
  seed: number;
  seconds: number;
}): DemoReport {
  const { pipeline, evaluation, seed, seconds } = input;
  const reward = jobOf(pipeline, 'reward-modeling').result?.metrics;
  return {
    seconds,
    seed,
    pipeline: pipeline.id,
    prompts: evaluation.policies[0].prompts,
    temperature: evaluation.temperature,
    stages: stages.map((stage) => stageReport(jobOf(pipeline, stage), evaluation)),
    pairAccuracy: reward?.pairAccuracy ?? null,
    noiseCeiling: reward?.noiseCeiling ?? null,
  };
}

function jobOf(pipeline: PipelineView, stage: StageName): JobView {
  const job = pipeline.jobs.find((each) => each.stage === stage);
  if (job === undefined) throw new Error(`The pipeline has no ${stage} job.`);
  return job;
}

function stageReport(job: JobView, evaluation: EvaluationReport): StageReport {
  const policy = evaluation.policies.find(({ checkpoint }) => checkpoint === job.id);
  const seconds = job.result?.seconds ?? 0;
  return {
    name: job.stage,
    politeAndCorrect: policy?.politeAndCorrect ?? null,
    polite: policy?.polite ?? null,
    correct: policy?.correct ?? null,
    klToSft: policy?.klToReference ?? null,
    reward: policy?.reward ?? null,
    seconds,
    tokensPerSecond: seconds > 0 ? (job.result?.tokens ?? 0) / seconds : 0,
  };
}

/** The table and the sample answers, for a terminal. */
export function renderReport(report: DemoReport, evaluation: EvaluationReport): string {
  const table = renderTable(report.stages, [
    { title: 'stage', align: 'left', cell: (stage) => stage.name },
    { title: 'polite and correct', align: 'right', cell: (stage) => percent(stage.politeAndCorrect) },
    { title: 'polite', align: 'right', cell: (stage) => percent(stage.polite) },
    { title: 'correct', align: 'right', cell: (stage) => percent(stage.correct) },
    { title: 'KL to SFT', align: 'right', cell: (stage) => fixed(2)(stage.klToSft) },
    { title: 'reward', align: 'right', cell: (stage) => fixed(2)(stage.reward) },
    { title: 'seconds', align: 'right', cell: (stage) => fixed(1)(stage.seconds) },
    { title: 'tokens/s', align: 'right', cell: (stage) => whole(stage.tokensPerSecond) },
  ]);
  const { winRate } = evaluation;
  return [
    `\n${report.prompts} test prompts that no earlier stage has seen, answers sampled at temperature ${report.temperature}, seed ${report.seed}:\n`,
    table,
    `\n  Reward model: pair accuracy ${percent(report.pairAccuracy)} on held-out prompts; the labels' noise allows ${percent(report.noiseCeiling)}.`,
    ...(winRate
      ? [
          `  The reward model prefers ${winRate.challenger} to ${winRate.baseline} in ${percent(winRate.rate)} of the prompts.`,
        ]
      : []),
    `\nSample answers\n`,
    ...evaluation.samples.map(renderSample),
    `All of it took ${fixed(0)(report.seconds)} seconds.\n`,
  ].join('\n');
}

function renderSample({ prompt, responses }: EvaluationReport['samples'][number]): string {
  const mark = (good: boolean | undefined): string => (good === undefined ? ' ' : good ? '✓' : '✗');
  const lines = responses.map(
    ({ policy, text, correct, polite }) =>
      `    ${policy.padEnd(10)} ${mark(correct)} correct ${mark(polite)} polite  ${text.trim().replace(/\s*\n\s*/g, ' ⏎ ')}`,
  );
  return [`  ${prompt}`, ...lines, ''].join('\n');
}
