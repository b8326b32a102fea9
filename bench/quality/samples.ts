import { createGenerator, createScorer, type Generation } from '@pavlov/model';
import type { Engine, Parameters } from '@pavlov/tensor';
import type { Shape } from '../speed/shapes';
import { heldOutTexts } from './language';

/** What the tokens that were sampled are worth to the model itself, in float32; means over tokens. */
export interface Samples {
  readonly tokens: number;
  /** Nats from what was sampled to the model's own distribution, by Schulman's k3. */
  readonly divergence: number;
  readonly perplexityOfSamples: number;
}

/** Batches of answers. */
const batches = 4;

/** Samples answers on one engine, in 8 bits if that is wanted, and scores them on another, which is the judge. */
export async function sample(options: {
  readonly shape: Shape;
  readonly parameters: Parameters;
  readonly engine: Engine;
  readonly judge: Engine;
  readonly int8?: boolean;
}): Promise<Samples> {
  const {
    shape: { model: config, batch, prompt, answer },
    parameters,
    engine,
    judge,
    int8 = false,
  } = options;
  const prompts = heldOutTexts(config, { rows: batches * batch, length: prompt });
  const generator = await createGenerator(engine, {
    ...{ config, batch, maxPromptTokens: prompt, maxNewTokens: answer },
    ...(int8 && { int8: parameters }),
  });
  const settings = { temperature: 1, eosId: 0, stopAtEos: false, seed: 1, purpose: 'bench', step: 0 };
  const generation = await generator.generate({ ...settings, parameters, prompts });
  const scorer = await createScorer(judge, { config, batch, length: prompt + answer });
  const truth = await scorer.logprobs({
    parameters,
    sequences: generation.responses.map((response, row) => [...prompts[row], ...response]),
    from: prompts.map(() => prompt),
    temperature: 1,
  });
  return compare(generation, truth);
}

function compare({ logprobs, tokens }: Generation, truth: readonly Float32Array[]): Samples {
  let [divergence, logProbability] = [0, 0];
  logprobs.forEach((row, index) =>
    row.forEach((logprob, position) => {
      const logRatio = truth[index][position] - logprob;
      divergence += (Math.expm1(logRatio) - logRatio) / tokens;
      logProbability += truth[index][position] / tokens;
    }),
  );
  return { tokens, divergence, perplexityOfSamples: Math.exp(-logProbability) };
}
