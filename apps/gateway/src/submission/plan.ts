import {
  type JobPayload,
  type JobRequest,
  pipelineLinks,
  pipelinePolicies,
  type PipelineRequest,
  stageConfigs,
  type StageName,
  stages,
} from '@pavlov/contracts';
import { check, errorOf, type Problem } from '../http/bad-request';
import { jobIdOf, pipelineIdOf } from './ids';
import { isRepeated, roundConflicts, type Step, stepsOf } from './rounds';

/** A job that is to be enqueued, and where the request speaks of its config. */
export interface PlannedJob {
  readonly payload: JobPayload;
  /** Path of the config in the request: `config`, or `stages.sft`. */
  readonly field: string;
}

export function planJob({ stage, config, seed, name }: JobRequest, suffix: string): PlannedJob[] {
  return [
    {
      payload: { jobId: jobIdOf(stage, suffix), stage, seed, config, ...(name === undefined ? {} : { name }) },
      field: 'config',
    },
  ];
}

type RawConfig = Readonly<Record<string, unknown>>;

/** The jobs that a pipeline has. */
interface Outline {
  readonly rounds: number;
  /** The id of a stage's job in a round; undefined if the pipeline has no such stage. */
  idOf(stage: StageName, round: number): string | undefined;
}

/** The ids of a stage's jobs in the first so many rounds. */
function idsOf(outline: Outline, { stage, rounds }: { stage: StageName; rounds: number }): string[] {
  const ids = Array.from({ length: rounds }, (_, index) => outline.idOf(stage, index + 1));
  return ids.filter((id) => id !== undefined);
}

function policiesOf(outline: Outline): { name: string; checkpoint: string }[] {
  return Object.entries(pipelinePolicies).flatMap(([name, source]) => {
    const checkpoints = idsOf(outline, { stage: source, rounds: isRepeated(source) ? outline.rounds : 1 });
    const last = checkpoints.length - 1;
    return checkpoints.map((checkpoint, index) => ({
      name: index === last ? name : `${name}-round-${index + 1}`,
      checkpoint,
    }));
  });
}

/** Fills in what the config leaves to the pipeline, and what changes from round to round. */
function link({ stage, round }: Step, { config, outline }: { config: RawConfig; outline: Outline }): RawConfig {
  const imports = stage === 'feedback' && (config.labeller as { kind: string }).kind === 'import';
  const linked: Record<string, unknown> = { ...config };
  for (const [field, source] of Object.entries<StageName>(imports ? {} : pipelineLinks[stage]))
    linked[field] ??= outline.idOf(source, round ?? outline.rounds);
  if (stage === 'evaluation' && linked.policies === undefined) {
    const policies = policiesOf(outline);
    linked.policies = policies.length > 0 ? policies : undefined;
  }
  if (round !== undefined && round > 1) {
    if (stage === 'feedback') linked.policy = outline.idOf('ppo', round - 1);
    if (stage === 'reward-modeling') {
      const earlier = idsOf(outline, { stage: 'feedback', rounds: round - 1 });
      linked.earlierRankings = [...(config.earlierRankings as string[]), ...earlier];
    }
  }
  return linked;
}

interface Linked {
  readonly stage: StageName;
  readonly config: RawConfig;
  /** Path of the config in the request. */
  readonly field: string;
}

/** A link that nothing fills: the stage it comes from is left out, and no id is given. */
function asMissingInput(problem: Problem, { stage, config, field }: Linked): Problem {
  const name = problem.field.slice(field.length + 1);
  const links: Readonly<Record<string, string>> = {
    ...pipelineLinks[stage],
    ...(stage === 'evaluation' ? { policies: 'sft' } : {}),
  };
  if (!Object.hasOwn(links, name) || config[name] !== undefined) return problem;
  const instead =
    name === 'policies' ? 'give the policies to compare' : `give the id of what ${links[name]} would have made`;
  return {
    ...problem,
    code: 'MISSING_INPUT',
    message: `${stage} needs \`${name}\`, and this pipeline makes none.`,
    hint: `Add the stage ${links[name]} to the pipeline, or ${instead}.`,
  };
}

/**
 * All problems of a config that has some. Rules across fields are looked at only where no field is missing, so what the
 * pipeline should have made, and does not, is stood in for.
 */
function allProblems(found: readonly Problem[], linked: Linked): Problem[] {
  const { stage, config, field } = linked;
  const problems = found.map((problem) => asMissingInput(problem, linked));
  const missing = problems.filter(({ code }) => code === 'MISSING_INPUT').map((problem) => problem.field);
  const absent = Object.keys(pipelineLinks[stage]).filter((name) => missing.includes(`${field}.${name}`));
  if (absent.length === 0) return problems;
  const whole = { ...config, ...Object.fromEntries(absent.map((name) => [name, 'left-to-the-pipeline'])) };
  const { problems: across = [] } = check(stageConfigs[stage], whole, field);
  const further = across.filter((one) => !problems.some((known) => known.field === one.field));
  return [...problems, ...further.map((problem) => asMissingInput(problem, linked))];
}

/**
 * The jobs of a pipeline, in the order in which they run, with their ids assigned and their inputs linked: each stage
 * reads what the earlier ones make. An id that the request gives wins, but for feedback's policy, which is that of the
 * first round only.
 *
 * @throws PavlovError MISSING_INPUT where a stage left out would have made an input, CONFIG_CONFLICT where there can be
 *   no rounds, INVALID_REQUEST
 */
export function planPipeline(request: PipelineRequest, suffix: string): PlannedJob[] {
  const chosen = stages.filter((stage) => request.stages[stage] !== undefined);
  const problems = roundConflicts(request);
  const rounds = problems.length > 0 ? 1 : request.rounds;
  const outline: Outline = {
    rounds,
    idOf: (source, round) =>
      chosen.includes(source) ? jobIdOf(source, suffix, isRepeated(source) ? round : 1) : undefined,
  };
  const name = request.name === undefined ? {} : { name: request.name };
  const planned = stepsOf(chosen, rounds).flatMap(({ stage, round }): PlannedJob[] => {
    if (problems.length > 0 && round !== undefined && round > 1) return []; // it would only be said again
    const field = `stages.${stage}`;
    const config = link({ stage, round }, { config: request.stages[stage] as RawConfig, outline });
    const checked = check(stageConfigs[stage], config, field);
    if (checked.problems !== undefined) {
      problems.push(...allProblems(checked.problems, { stage, config, field }));
      return [];
    }
    const payload: JobPayload = {
      jobId: jobIdOf(stage, suffix, round),
      stage,
      pipelineId: pipelineIdOf(suffix),
      ...(round === undefined ? {} : { round }),
      ...name,
      seed: request.seed + (round ?? 1) - 1,
      config: checked.data,
    };
    return [{ payload, field }];
  });
  if (problems.length > 0) throw errorOf(problems);
  return planned;
}
