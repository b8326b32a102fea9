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
import { errorOf, type Problem, problemsIn } from '../http/bad-request';
import { jobIdOf, pipelineIdOf } from './ids';

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

/** Fills in what the config leaves to the pipeline. */
function link({
  stage,
  config,
  idOf,
}: {
  stage: StageName;
  config: RawConfig;
  idOf: (source: StageName) => string | undefined;
}): RawConfig {
  const imports = stage === 'feedback' && (config.labeller as { kind: string }).kind === 'import';
  const linked: Record<string, unknown> = { ...config };
  for (const [field, source] of Object.entries<StageName>(imports ? {} : pipelineLinks[stage]))
    linked[field] ??= idOf(source);
  if (stage === 'evaluation' && linked.policies === undefined) {
    const policies = Object.entries(pipelinePolicies).flatMap(([name, source]) => {
      const checkpoint = idOf(source);
      return checkpoint === undefined ? [] : [{ name, checkpoint }];
    });
    linked.policies = policies.length > 0 ? policies : undefined;
  }
  return linked;
}

/** A link that nothing fills: the stage it comes from is left out, and no id is given. */
function asMissingInput(
  problem: Problem,
  { stage, config, field }: { stage: StageName; config: RawConfig; field: string },
): Problem {
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
 * The jobs of a pipeline, in the order of the stages, with their ids assigned and their inputs linked: each stage reads
 * what the earlier ones make. An id that the request gives wins.
 *
 * @throws PavlovError MISSING_INPUT where a stage left out would have made an input, INVALID_REQUEST
 */
export function planPipeline(request: PipelineRequest, suffix: string): PlannedJob[] {
  const chosen = stages.filter((stage) => request.stages[stage] !== undefined);
  const idOf = (source: StageName): string | undefined =>
    chosen.includes(source) ? jobIdOf(source, suffix) : undefined;
  const problems: Problem[] = [];
  const planned = chosen.flatMap((stage): PlannedJob[] => {
    const field = `stages.${stage}`;
    const config = link({ stage, config: request.stages[stage] as RawConfig, idOf });
    const parsed = stageConfigs[stage].safeParse(config);
    if (!parsed.success) {
      const found = problemsIn(parsed.error, { schema: stageConfigs[stage], value: config, prefix: field });
      problems.push(...found.map((problem) => asMissingInput(problem, { stage, config, field })));
      return [];
    }
    const name = request.name === undefined ? {} : { name: request.name };
    const payload: JobPayload = {
      jobId: jobIdOf(stage, suffix),
      stage,
      pipelineId: pipelineIdOf(suffix),
      ...name,
      seed: request.seed,
      config: parsed.data,
    };
    return [{ payload, field }];
  });
  if (problems.length > 0) throw errorOf(problems);
  return planned;
}
