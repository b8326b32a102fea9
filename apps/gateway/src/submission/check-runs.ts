import { type Problem } from '../http/bad-request';
import { type Facts, isOf } from './facts';
import { type PlannedJob } from './plan';

/** A dataset's rows: of one that a job of this pipeline makes, the most that it can have. */
interface Size {
  readonly rows: number;
  /** Rankings from which nothing can be learned; none is known of what does not exist yet. */
  readonly allTied: number;
}

async function sizeOf(id: string, facts: Facts): Promise<Size> {
  const maker = facts.maker(id);
  if (maker === undefined || !isOf(maker, 'feedback')) {
    const { rows, statistics } = await facts.dataset(id);
    return { rows, allTied: statistics.allTied ?? 0 };
  }
  const { labeller, prompts, maxPrompts = Infinity } = maker.config;
  if (labeller.kind === 'import') return sizeOf(labeller.dataset, facts);
  return { rows: prompts === undefined ? 0 : Math.min((await facts.dataset(prompts)).rows, maxPrompts), allTied: 0 };
}

interface Run {
  readonly rows: number;
  readonly batchSize: number;
  readonly epochs: number;
  readonly warmupSteps: number;
}

/** Counted with every row: those held out only make the run shorter. */
function endlessWarmup({ rows, batchSize, epochs, warmupSteps }: Run): Omit<Problem, 'field'> | undefined {
  const steps = Math.ceil(rows / batchSize) * epochs;
  if (warmupSteps === 0 || warmupSteps < steps) return undefined;
  return {
    code: 'CONFIG_CONFLICT',
    message: `The warm-up of ${warmupSteps} steps would not end: ${rows} rows in batches of ${batchSize}, ${epochs} times, make ${steps} steps at most.`,
    hint: steps > 1 ? `Give fewer than ${steps}, or train longer.` : 'Give 0, or train longer.',
  };
}

/** Whether there is enough to learn from, as far as the sizes of the datasets tell. */
export async function checkRuns({ payload, field }: PlannedJob, facts: Facts): Promise<Problem[]> {
  const problems: Problem[] = [];
  const add = (name: string, problem: Omit<Problem, 'field'>): number =>
    problems.push({ ...problem, field: `${field}.${name}` });
  if (isOf(payload, 'sft')) {
    const warmup = endlessWarmup({ ...payload.config, ...(await sizeOf(payload.config.dataset, facts)) });
    if (warmup !== undefined) add('warmupSteps', warmup);
  }
  if (isOf(payload, 'reward-modeling')) {
    const { rankings, earlierRankings, seeds, heldOutFraction } = payload.config;
    const sizes = await Promise.all([rankings, ...earlierRankings].map((id) => sizeOf(id, facts)));
    const rows = sizes.reduce((sum, size) => sum + size.rows, 0);
    if (sizes.every(({ rows: all, allTied }) => all === allTied)) {
      add('rankings', {
        code: 'DATASET_EMPTY',
        message: 'Every ranking is a tie, so there is nothing to learn.',
        hint: 'Give at least one prompt with answers of different rank.',
      });
    }
    if (seeds > 1 && Math.round(rows * heldOutFraction) === 0) {
      add('heldOutFraction', {
        code: 'CONFIG_CONFLICT',
        message: `${heldOutFraction} of ${rows} rankings is none, so ${seeds} models cannot be compared.`,
        hint: 'Raise heldOutFraction, give more rankings, or train one model.',
      });
    }
    const warmup = endlessWarmup({ ...payload.config, rows });
    if (warmup !== undefined) add('warmupSteps', warmup);
  }
  return problems;
}
