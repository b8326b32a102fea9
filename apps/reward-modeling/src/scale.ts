import { scoreMoments, standardise, type Normalisation } from '@pavlov/algorithms';
import { PavlovError } from '@pavlov/contracts';
import { createGenerator } from '@pavlov/model';
import { randomStream } from '@pavlov/random';
import { type TrainerContext } from '@pavlov/service-kit';
import { type Engine, type Parameters } from '@pavlov/tensor';
import { type LoadedCheckpoint } from '@pavlov/training';

/**
 * Makes every reward r into gain · r + bias.
 *
 * The published format has a head without a bias, so the bias goes into the last layer norm's: moving β along the head's
 * weights w by bias/‖w‖² moves w·β by exactly that. The head comes first, or it would multiply the bias by the gain.
 */
export function rescaleReward(parameters: Parameters, { gain, bias }: Normalisation): void {
  const head = parameters.views['score.weight'];
  for (let i = 0; i < head.length; i++) head[i] *= gain;
  const shift = parameters.views['transformer.ln_f.bias'];
  const squared = head.reduce((sum, weight) => sum + weight * weight, 0);
  for (let i = 0; i < shift.length; i++) shift[i] += (bias * head[i]) / squared;
}

/**
 * Gain and bias that give the samples mean 0 and variance 1.
 *
 * @throws PavlovError CONFIG_CONFLICT when they all score the same.
 */
export function standardiseSamples(scores: Float32Array): Normalisation {
  if (scoreMoments(scores).variance > 0) return standardise({ scores });
  throw new PavlovError({
    code: 'CONFIG_CONFLICT',
    field: 'standardise',
    message: `All ${scores.length} sampled answers have the same score, and no gain can spread them.`,
    hint: 'Sample more answers, at a higher temperature, or to more prompts.',
  });
}

/**
 * Answers of the policy to the prompts, which are drawn in random order and, where they are too few, again: the samples
 * on which Ziegler et al. 2019 standardise the reward.
 *
 * @returns Prompt ⊕ answer of each, with EOS where the answer ended.
 * @throws PavlovError CONFIG_CONFLICT when prompt and answer do not fit the context.
 */
export async function sampleAnswers(
  context: TrainerContext<'reward-modeling'>,
  { engine, policy, prompts }: { engine: Engine; policy: LoadedCheckpoint; prompts: readonly string[] },
): Promise<number[][]> {
  const { seed, config } = context;
  if (config.standardise === undefined) return [];
  const { answers, batchSize, temperature, maxNewTokens } = config.standardise;
  const drawn = randomStream(seed, 'reward/standardise-prompts')
    .shuffle([...new Set(prompts)])
    .map((prompt) => policy.tokenizer.encodePrompt(prompt));
  const asked = Array.from({ length: answers }, (_, index) => drawn[index % drawn.length]);
  const maxPromptTokens = Math.max(...drawn.map((prompt) => prompt.length));
  checkRoom({ maxPromptTokens, maxNewTokens, contextLength: policy.model.contextLength });

  const batch = Math.min(batchSize, answers);
  const generator = await createGenerator(engine, { config: policy.model, batch, maxPromptTokens, maxNewTokens });
  const sequences: number[][] = [];
  while (sequences.length < answers) {
    await context.checkpoint();
    const part = asked.slice(sequences.length, sequences.length + batch);
    const { responses } = await generator.generate({
      parameters: policy.parameters,
      prompts: part,
      temperature,
      eosId: policy.tokenizer.eosId,
      stopAtEos: true,
      seed,
      purpose: 'reward/standardise',
      step: sequences.length,
    });
    responses.forEach((response, row) => sequences.push([...part[row], ...response]));
    context.progress({ fraction: 0, phase: 'sampling answers', step: sequences.length, steps: answers });
  }
  generator.dispose();
  return sequences;
}

function checkRoom(room: { maxPromptTokens: number; maxNewTokens: number; contextLength: number }): void {
  const { maxPromptTokens, maxNewTokens, contextLength } = room;
  if (maxPromptTokens + maxNewTokens <= contextLength) return;
  throw new PavlovError({
    code: 'CONFIG_CONFLICT',
    field: 'standardise.maxNewTokens',
    message: `Ranked prompts of up to ${maxPromptTokens} tokens and ${maxNewTokens} new ones do not fit the policy's context of ${contextLength}.`,
    hint: `Set maxNewTokens to at most ${Math.max(0, contextLength - maxPromptTokens)}, or start from a policy with a longer context.`,
  });
}
