import { oracles, PavlovError, type PpoConfig, type PromptRow } from '@pavlov/contracts';
import { gradeResponse, type OracleName } from '@pavlov/datasets';
import { type Problem } from '../http/bad-request';
import { type DatasetRowsReader } from './dataset-rows';
import { isOf } from './facts';
import { type PlannedJob } from './plan';

interface Graded {
  readonly oracle: OracleName;
  readonly prompts: string;
  /** Only the first so many rows are used. */
  readonly limit?: number;
}

function gradedBy({ payload }: PlannedJob): Graded | undefined {
  if (isOf(payload, 'evaluation')) {
    const { oracle, prompts, maxPrompts } = payload.config;
    return oracle === undefined ? undefined : { oracle, prompts, limit: maxPrompts };
  }
  if (isOf(payload, 'ppo')) {
    const oracle = rewardOracle(payload.config);
    return oracle && { oracle, prompts: payload.config.prompts };
  }
  if (!isOf(payload, 'feedback')) return undefined;
  const { labeller, prompts } = payload.config;
  return labeller.kind === 'import' || prompts === undefined ? undefined : { oracle: labeller.oracle, prompts };
}

/** The reward function that is an oracle, where a ppo job has it as its reward or as its held-out judge. */
function rewardOracle({ rewardFunctions, monitor }: PpoConfig): OracleName | undefined {
  const names = [...rewardFunctions, monitor.heldOut].map((source) =>
    source?.kind === 'function' ? source.name : undefined,
  );
  return oracles.find((oracle) => names.includes(oracle));
}

/** What the oracle itself says of a row that it cannot grade. */
function refusal(oracle: OracleName, row: PromptRow): PavlovError | undefined {
  try {
    gradeResponse(oracle, { ...row, response: row.answer ?? '', finished: true });
    return undefined;
  } catch (error) {
    return PavlovError.from(error);
  }
}

/** An oracle grades by what the row says of the truth: each prompt must have it, in words that the oracle knows. */
export async function checkOracle(job: PlannedJob, rows: DatasetRowsReader): Promise<Problem[]> {
  const graded = gradedBy(job);
  if (graded === undefined) return [];
  const { oracle, prompts, limit } = graded;
  const found = await rows.find<'prompts', PavlovError>(prompts, { probe: (row) => refusal(oracle, row), limit });
  if (found === undefined) return [];
  const { line, probed } = found;
  return [
    {
      code: 'DATASET_INVALID_ROW',
      field: `${job.field}.prompts`,
      line,
      message: `Line ${line} of the dataset “${prompts}” cannot be graded: ${probed.message}`,
      hint: probed.body.hint,
    },
  ];
}
