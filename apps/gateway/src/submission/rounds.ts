import { type PipelineRequest, roundStages, type StageName, stages } from '@pavlov/contracts';
import { type Problem } from '../http/bad-request';

/** One job of a pipeline. */
export interface Step {
  readonly stage: StageName;
  /** From 1; absent outside of rounds. */
  readonly round?: number;
}

/** Whether a stage runs once in every round. */
export const isRepeated = (stage: StageName): boolean => roundStages.some((one) => one === stage);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

/** The jobs of a pipeline in the order in which they run: what comes before the rounds, the rounds, and the evaluation. */
export function stepsOf(chosen: readonly StageName[], rounds: number): Step[] {
  const inOrder = stages.filter((stage) => chosen.includes(stage));
  if (rounds === 1) return inOrder.map((stage) => ({ stage }));
  const first = stages.indexOf(roundStages[0]);
  const once = inOrder.filter((stage) => !isRepeated(stage)).map((stage) => ({ stage }));
  return [
    ...once.filter(({ stage }) => stages.indexOf(stage) < first),
    ...upTo(rounds).flatMap((round) => roundStages.map((stage) => ({ stage, round }))),
    ...once.filter(({ stage }) => stages.indexOf(stage) > first),
  ];
}

const conflict = (field: string, message: string, hint: string): Problem => ({
  code: 'CONFIG_CONFLICT',
  field,
  message,
  hint,
});

/**
 * What keeps a pipeline from being run in rounds: a stage of the loop that is left out, or one that would do the same
 * thing again in every round.
 */
export function roundConflicts({ rounds, seed, stages: configs }: PipelineRequest): Problem[] {
  if (rounds === 1) return [];
  const problems: Problem[] = [];
  const absent = roundStages.filter((stage) => configs[stage] === undefined);
  if (absent.length > 0) {
    problems.push(
      conflict(
        'rounds',
        `Each round runs ${roundStages.join(', ')}; this pipeline lacks ${absent.join(' and ')}.`,
        `Add ${absent.map((stage) => `\`stages.${stage}\``).join(' and ')}, or leave \`rounds\` out.`,
      ),
    );
  }
  if (configs.feedback?.labeller.kind === 'import') {
    problems.push(
      conflict(
        'stages.feedback.labeller.kind',
        'A file holds the same rankings in every round.',
        'Use a labeller that ranks each round’s new answers, and give the file’s rankings as `stages.reward-modeling.earlierRankings`; or leave `rounds` out.',
      ),
    );
  }
  if (configs['reward-modeling']?.rankings !== undefined) {
    problems.push(
      conflict(
        'stages.reward-modeling.rankings',
        'In rounds, the reward model learns the rankings that the round’s feedback makes.',
        'Give further rankings as `earlierRankings`.',
      ),
    );
  }
  if (configs.ppo?.reward !== undefined) {
    problems.push(
      conflict(
        'stages.ppo.reward',
        'In rounds, PPO’s reward model is the one that the round’s reward-modeling makes.',
        'Leave it out. Another reward model can watch, as `monitor.heldOut`.',
      ),
    );
  }
  const largestSeed = Number.MAX_SAFE_INTEGER - (rounds - 1);
  if (seed > largestSeed) {
    problems.push(
      conflict(
        'seed',
        `The last of ${rounds} rounds would have the seed ${seed} + ${rounds - 1}, which is too large.`,
        `Give a seed of at most ${largestSeed}.`,
      ),
    );
  }
  return problems;
}
