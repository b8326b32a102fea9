import { PavlovError, type SftConfig } from '@pavlov/contracts';
import { createGenerator } from '@pavlov/model';
import { type TrainerContext } from '@pavlov/service-kit';
import { type Engine, type Parameters } from '@pavlov/tensor';
import {
  createRewardModelScorer,
  loadRewardModel,
  readRows,
  type LoadedCheckpoint,
  type RewardModel,
} from '@pavlov/training';

/** What a policy's answers to the prompts of the selection are like. */
export interface AnswerQuality {
  /** Mean score of the reward model. Answers without EOS are scored as they are. */
  readonly score: number;
  /** Mean tokens of an answer, EOS included. */
  readonly responseLength: number;
  /** Share of the answers that ended by themselves. */
  readonly eosFraction: number;
  /** Sampled in all. */
  readonly tokens: number;
}

/** Judges an epoch by what a reward model thinks of its answers (InstructGPT appendix C.1). */
export interface Selection {
  /**
   * Same prompts and same random numbers at every call, so that only the weights make a difference.
   *
   * @throws PavlovError NON_FINITE if an answer's score is not a number
   */
  measure(parameters: Parameters): Promise<AnswerQuality>;
}

type SelectionConfig = NonNullable<SftConfig['selection']>;

/** @throws PavlovError TOKENIZER_MISMATCH, SEQUENCE_TOO_LONG, or what loading the inputs throws */
export async function openSelection(
  engine: Engine,
  {
    context: { store, seed },
    policy,
    selection,
  }: { context: TrainerContext<'sft'>; policy: LoadedCheckpoint; selection: SelectionConfig },
): Promise<Selection> {
  const { maxPrompts, batchSize: batch, temperature, maxNewTokens } = selection;
  const { tokenizer } = policy;
  const rewardModel = await loadRewardModel(store, selection.reward);
  const rows = await readRows(store, { id: selection.prompts, kind: 'prompts' });
  const prompts = rows.slice(0, maxPrompts).map(({ prompt }) => tokenizer.encodePrompt(prompt));
  const maxPromptTokens = Math.max(...prompts.map((prompt) => prompt.length));
  checkModels({ policy, rewardModel, selection, maxPromptTokens });

  const generator = await createGenerator(engine, { config: policy.model, batch, maxPromptTokens, maxNewTokens });
  const length = maxPromptTokens + maxNewTokens;
  const scorer = await createRewardModelScorer(engine, { rewardModel, batch, length });
  return {
    measure: async (parameters) => {
      const { responses, finished, tokens } = await generator.generate({
        parameters,
        prompts,
        temperature,
        eosId: tokenizer.eosId,
        stopAtEos: true,
        seed,
        purpose: 'sft/selection',
        step: 0,
      });
      const { scores } = await scorer.score(prompts.map((prompt, index) => [...prompt, ...responses[index]]));
      const score = scores.reduce((sum, one) => sum + one, 0) / scores.length;
      if (!Number.isFinite(score)) throw notFinite(selection.reward);
      return {
        score,
        responseLength: tokens / responses.length,
        eosFraction: finished.filter(Boolean).length / responses.length,
        tokens,
      };
    },
  };
}

function checkModels(input: {
  policy: LoadedCheckpoint;
  rewardModel: RewardModel;
  selection: SelectionConfig;
  maxPromptTokens: number;
}): void {
  const { policy, rewardModel, selection, maxPromptTokens } = input;
  if (policy.tokenizer.fingerprint !== rewardModel.tokenizer.fingerprint) {
    throw new PavlovError({
      code: 'TOKENIZER_MISMATCH',
      field: 'selection.reward',
      message: `“${selection.reward}” has to read the policy’s answers, but their tokenizers differ.`,
      hint: 'Use models that descend from the same pretrained one.',
    });
  }
  const contextLength = Math.min(policy.model.contextLength, rewardModel.model.contextLength);
  if (maxPromptTokens + selection.maxNewTokens > contextLength) {
    throw new PavlovError({
      code: 'SEQUENCE_TOO_LONG',
      field: 'selection.maxNewTokens',
      message: `The longest prompt has ${maxPromptTokens} tokens; with ${selection.maxNewTokens} new ones it exceeds the context of ${contextLength}.`,
      hint: 'Lower selection.maxNewTokens, or give shorter prompts.',
    });
  }
}

function notFinite(reward: string): PavlovError {
  return new PavlovError({
    code: 'NON_FINITE',
    field: 'selection.reward',
    message: `A score of the reward model “${reward}” is not a number.`,
    hint: 'Its weights are broken: train it again at a lower learning rate.',
  });
}
