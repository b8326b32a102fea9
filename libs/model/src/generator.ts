import { PavlovError } from '@pavlov/contracts';
import { randomStream } from '@pavlov/random';
import type { Engine, Parameters } from '@pavlov/tensor';
import { compileDecoder, type DecoderShape } from './decoder';
import { createSampler, type Sampler } from './sampler';
import { checkSequences, layOut } from './sequences';

export interface GenerateOptions {
  readonly parameters: Parameters;
  /** Any number of prompts of 1 to `maxPromptTokens` tokens. */
  readonly prompts: readonly (readonly number[])[];
  /** Divides the logits; 0 is greedy. */
  readonly temperature: number;
  /** Samples from the k most probable tokens; 0, the default, from all. */
  readonly topK?: number;
  /** Samples from the most probable tokens that make up this share; 1, the default, from all. */
  readonly topP?: number;
  readonly eosId: number;
  /** Whether EOS ends a response. If not, every response has `maxNewTokens` tokens and the caller cuts. */
  readonly stopAtEos: boolean;
  /** Row r draws from the stream `(seed, purpose, [step, r])`, so its sample does not depend on the rows around it. */
  readonly seed: number;
  readonly purpose: string;
  readonly step: number;
}

/** One entry per prompt in each list. */
export interface Generation {
  /** Sampled tokens, with the EOS that ended them. */
  readonly responses: number[][];
  /**
   * Log-probability of each sampled token under the whole distribution at the sampling temperature, before top-k and
   * top-p; at temperature 1 when greedy.
   */
  readonly logprobs: Float32Array[];
  /** Whether EOS was sampled. */
  readonly finished: boolean[];
  /** Sampled tokens in all. */
  readonly tokens: number;
}

/** One call at a time: the caches are shared. */
export interface Generator {
  generate(options: GenerateOptions): Promise<Generation>;
  dispose(): void;
}

/** A response while it grows. */
interface Row {
  readonly response: number[];
  readonly logprobs: number[];
  readonly uniform: () => number;
  finished: boolean;
}

/**
 * Compiles KV-cached sampling: `batch` rows at a time, ragged prompts in one pass, then one token per row and step.
 *
 * @throws PavlovError CONFIG_CONFLICT when prompt and response do not fit the context
 */
export async function createGenerator(engine: Engine, shape: DecoderShape): Promise<Generator> {
  const { config, batch, maxPromptTokens, maxNewTokens } = shape;
  checkRoom(shape);
  const { prefill, step, cacheNames } = await compileDecoder(engine, shape);
  const cacheSize = batch * config.width * (maxPromptTokens + maxNewTokens);
  const caches = Object.fromEntries(cacheNames.map((name) => [name, new Float32Array(cacheSize)]));
  const prompts = new Int32Array(batch * maxPromptTokens);
  const tokens = new Int32Array(batch);
  const positions = new Int32Array(batch);
  const temperature = new Float32Array(1);
  const probabilities = new Float32Array(batch * config.vocabSize);

  /** Samples one token for each unfinished row; false when none is left. */
  const sample = (rows: readonly Row[], pick: Sampler, options: GenerateOptions): boolean => {
    let growing = false;
    rows.forEach((row, index) => {
      if (row.finished && options.stopAtEos) return;
      const token = pick(probabilities, index, row.uniform());
      if (token < 0) throw notFinite(options);
      row.response.push(token);
      row.logprobs.push(Math.log(probabilities[index * config.vocabSize + token]));
      row.finished ||= token === options.eosId;
      tokens[index] = token;
      growing ||= !(row.finished && options.stopAtEos);
    });
    return growing;
  };

  const run = async (
    rows: readonly Row[],
    batchPrompts: readonly (readonly number[])[],
    options: GenerateOptions,
  ): Promise<void> => {
    const pick = createSampler({
      vocabSize: config.vocabSize,
      temperature: options.temperature,
      topK: options.topK ?? 0,
      topP: options.topP ?? 1,
    });
    const common = { ...options.parameters.views, ...caches, positions, temperature };
    const into = { probabilities };
    temperature[0] = options.temperature === 0 ? 1 : options.temperature;
    layOut(batchPrompts, prompts, { columns: maxPromptTokens, padId: config.padId });
    for (let row = 0; row < batch; row++) positions[row] = (batchPrompts[row]?.length ?? 1) - 1;
    await prefill.run({ ...common, tokens: prompts }, into);

    const feeds = { ...common, tokens };
    tokens.fill(config.padId);
    for (let made = 1; sample(rows, pick, options) && made < maxNewTokens; made++) {
      for (let row = 0; row < batch; row++) positions[row]++;
      await step.run(feeds, into);
    }
  };

  return {
    async generate(options) {
      checkSequences(options.prompts, { longest: maxPromptTokens, vocabSize: config.vocabSize });
      const rows = options.prompts.map((_, index): Row => {
        const { uniform } = randomStream(options.seed, options.purpose, [options.step, index]);
        return { response: [], logprobs: [], uniform, finished: false };
      });
      for (let start = 0; start < rows.length; start += batch) {
        await run(rows.slice(start, start + batch), options.prompts.slice(start, start + batch), options);
      }
      return {
        responses: rows.map((row) => row.response),
        logprobs: rows.map((row) => Float32Array.from(row.logprobs)),
        finished: rows.map((row) => row.finished),
        tokens: rows.reduce((sum, row) => sum + row.response.length, 0),
      };
    },
    dispose: () => {
      prefill.dispose();
      step.dispose();
    },
  };
}

function checkRoom({ config, maxPromptTokens, maxNewTokens }: DecoderShape): void {
  if (maxPromptTokens + maxNewTokens <= config.contextLength) return;
  throw new PavlovError({
    code: 'CONFIG_CONFLICT',
    field: 'maxNewTokens',
    message: `Prompts of up to ${maxPromptTokens} tokens and ${maxNewTokens} new ones do not fit a context of ${config.contextLength}.`,
    hint: `Set maxNewTokens to at most ${Math.max(0, config.contextLength - maxPromptTokens)}, or use shorter prompts or a longer context.`,
  });
}

function notFinite({ purpose, step }: GenerateOptions): PavlovError {
  return new PavlovError({
    code: 'NON_FINITE',
    message: `The model’s probabilities are not numbers (${purpose}, step ${step}).`,
    hint: 'Its weights have diverged: lower the learning rate of the stage that trained it.',
  });
}
