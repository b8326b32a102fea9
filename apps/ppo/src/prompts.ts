import { PavlovError, type PpoConfig, type PromptRow } from '@pavlov/contracts';
import { type TrainerContext } from '@pavlov/service-kit';
import { readRows, type LoadedCheckpoint } from '@pavlov/training';

/** A prompt as its row has it and as the policy reads it. */
export interface EncodedPrompt {
  readonly row: PromptRow;
  readonly tokens: number[];
}

/**
 * The prompts to answer; those beyond `maxPromptTokens` are left out.
 *
 * @throws PavlovError DATASET_EMPTY if none is left, SEQUENCE_TOO_LONG if prompt and answer overflow the context.
 */
export async function readPrompts(
  context: Pick<TrainerContext<'ppo'>, 'store' | 'config' | 'log'>,
  policy: LoadedCheckpoint,
): Promise<{ prompts: EncodedPrompt[]; maxPromptTokens: number }> {
  const { config, store, log } = context;
  const cap = config.maxPromptTokens ?? Infinity;
  const all = (await readRows(store, { id: config.prompts, kind: 'prompts' })).map((row) => ({
    row,
    tokens: policy.tokenizer.encodePrompt(row.prompt),
  }));
  const prompts = all.filter(({ tokens }) => tokens.length <= cap);
  if (prompts.length === 0) throw allTooLong(config);
  if (prompts.length < all.length)
    log(
      'info',
      `${all.length - prompts.length} of ${all.length} prompts have more than ${cap} tokens and are left out`,
    );

  const maxPromptTokens = Math.max(...prompts.map(({ tokens }) => tokens.length));
  const { contextLength } = policy.model;
  if (maxPromptTokens + config.maxNewTokens > contextLength)
    throw contextOverflow({ maxPromptTokens, config, contextLength });
  return { prompts, maxPromptTokens };
}

function allTooLong({ maxPromptTokens }: PpoConfig): PavlovError {
  return new PavlovError({
    code: 'DATASET_EMPTY',
    field: 'maxPromptTokens',
    message: `Every prompt has more than ${maxPromptTokens} tokens.`,
    hint: 'Raise maxPromptTokens, or give shorter prompts.',
  });
}

function contextOverflow(input: { maxPromptTokens: number; config: PpoConfig; contextLength: number }): PavlovError {
  const { maxPromptTokens, config, contextLength } = input;
  return new PavlovError({
    code: 'SEQUENCE_TOO_LONG',
    field: 'maxNewTokens',
    message: `The longest prompt has ${maxPromptTokens} tokens; with ${config.maxNewTokens} new ones it exceeds the context of ${contextLength}.`,
    hint: `Lower maxNewTokens to ${contextLength - maxPromptTokens}, leave long prompts out with maxPromptTokens, or pretrain with a longer context.`,
  });
}
