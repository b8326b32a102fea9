import { loadRewardFunctions, namesOf, openReward, type Answer, type RewardSource } from '@pavlov/rewards';
import { type TrainerContext } from '@pavlov/service-kit';
import { type Engine } from '@pavlov/tensor';
import { createRewardModelScorer, loadRewardModel, type RewardModel } from '@pavlov/training';

/** A batch of answers, as tokens for reward models and as text for everyone else. */
export interface Answered {
  /** Prompt ⊕ response of each. */
  readonly sequences: readonly (readonly number[])[];
  readonly answers: readonly Answer[];
}

export interface Verdict {
  /** One score per answer. */
  readonly scores: Float32Array;
  /** Means over the batch, under the names they are logged by. */
  readonly figures: Readonly<Record<string, number>>;
}

/** Scores answers: a reward model, a function, an endpoint, or a weighted sum of them. */
export type Judge = (answered: Answered) => Promise<Verdict>;

interface JudgeOptions {
  readonly engine: Engine;
  readonly context: Pick<TrainerContext<'ppo'>, 'config' | 'store' | 'log'>;
  /** Room for prompt ⊕ response, in tokens. */
  readonly columns: number;
}

/** The reward that PPO maximises: reward model and reward functions, each times its weight. */
export async function openTrainedReward(options: JudgeOptions & { rewardModel?: RewardModel }): Promise<Judge> {
  const {
    context: { config },
    rewardModel,
  } = options;
  const parts: { readonly weight: number; readonly judge: Judge }[] = [];
  if (rewardModel !== undefined)
    parts.push({ weight: config.rewardWeight, judge: await openModelJudge({ ...options, rewardModel }) });
  const names = namesOf(config.rewardFunctions);
  for (const [index, source] of config.rewardFunctions.entries())
    parts.push({
      weight: source.weight,
      judge: await openFunctionJudge(options, { source, name: `reward/${names[index]}` }),
    });
  return async (answered) => {
    const total = new Float32Array(answered.answers.length);
    const figures: Record<string, number> = {};
    for (const { weight, judge } of parts) {
      const { scores, figures: own } = await judge(answered);
      for (let i = 0; i < total.length; i++) total[i] += weight * scores[i];
      Object.assign(figures, own);
    }
    return { scores: total, figures };
  };
}

/** The judge that PPO is not trained on. */
export async function openHeldOutJudge(options: JudgeOptions): Promise<Judge | undefined> {
  const { store, config } = options.context;
  const { heldOut } = config.monitor;
  if (heldOut === undefined) return undefined;
  if (heldOut.kind === 'model')
    return openModelJudge({ ...options, rewardModel: await loadRewardModel(store, heldOut.checkpoint) });
  return openFunctionJudge(options, { source: heldOut, name: 'held-out' });
}

async function openFunctionJudge(
  { context }: JudgeOptions,
  { source, name }: { source: RewardSource; name: string },
): Promise<Judge> {
  const { score } = openReward(source, await loadRewardFunctions());
  const onRetry = (reason: string): void => context.log('warn', reason);
  return async ({ answers }) => verdict(name, await score(answers, { onRetry }));
}

async function openModelJudge({
  engine,
  context: { config },
  columns,
  rewardModel,
}: JudgeOptions & { rewardModel: RewardModel }): Promise<Judge> {
  const scorer = await createRewardModelScorer(engine, {
    rewardModel,
    batch: config.minibatchSize,
    length: columns,
    pessimism: config.pessimism,
  });
  const isEnsemble = rewardModel.members.length > 1;
  return async ({ sequences }) => {
    const { scores, deviations } = await scorer.score(sequences);
    const { figures } = verdict('reward/model', scores);
    return { scores, figures: isEnsemble ? { ...figures, 'reward/disagreement': mean(deviations) } : figures };
  };
}

function verdict(name: string, scores: Float32Array): Verdict {
  return { scores, figures: { [name]: mean(scores) } };
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
