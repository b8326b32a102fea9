import { type PromptRow } from '@pavlov/contracts';
import { createGenerator, createScorer, type GenerateOptions, type Generation, type Generator } from '@pavlov/model';
import { type TrainerContext } from '@pavlov/service-kit';
import { type Engine, type Parameters } from '@pavlov/tensor';
import {
  compileLmStep,
  createRewardModelScorer,
  openTextBatches,
  type LoadedCheckpoint,
  type RewardModel,
  type RewardModelScores,
} from '@pavlov/training';

/** Measures one policy after the other on the same prompts; what it needs is compiled once. */
export interface Bench {
  /** Compiles what answering takes, so that no policy's speed includes it; then the answers can be had, once. */
  prepare(policy: LoadedCheckpoint): Promise<() => Promise<Generation>>;
  /** Reward of each answer, of an ensemble the members' mean; nothing without a reward model. */
  score(generation: Generation): Promise<RewardModelScores | undefined>;
  /** Mean over answers of Σ log π − log π_ref, in nats; nothing without a reference. */
  klToReference(policy: LoadedCheckpoint): Promise<number | undefined>;
  /** Perplexity per token of the configured text. */
  perplexity(policy: LoadedCheckpoint): Promise<number | undefined>;
}

interface BenchOptions {
  readonly context: TrainerContext<'evaluation'>;
  readonly engine: Engine;
  /** Samples the answers; everything else is computed by `engine`. It may be the same one. */
  readonly answering: Engine;
  readonly prompts: readonly PromptRow[];
  readonly reward?: RewardModel;
  readonly reference?: LoadedCheckpoint;
}

type Sampling = Pick<GenerateOptions, 'temperature' | 'topK' | 'topP' | 'purpose'>;

export async function createBench(options: BenchOptions): Promise<Bench> {
  const { context, engine, answering, prompts, reward, reference } = options;
  const { config, seed, store } = context;
  const once = memoise();
  const encode = (policy: LoadedCheckpoint): number[][] =>
    prompts.map(({ prompt }) => policy.tokenizer.encodePrompt(prompt));
  const longest = (policy: LoadedCheckpoint): number => Math.max(...encode(policy).map((ids) => ids.length));
  /** Functions are compiled for a model's size and tokenizer; policies of one pipeline share both. */
  const keyOf = (what: string, { model, tokenizer }: LoadedCheckpoint): string =>
    JSON.stringify([what, model, tokenizer.fingerprint]);

  const compileGenerator = (policy: LoadedCheckpoint, { on, int8 }: { on: Engine; int8?: Parameters }) =>
    createGenerator(on, {
      config: policy.model,
      batch: config.batchSize,
      maxPromptTokens: longest(policy),
      maxNewTokens: config.maxNewTokens,
      int8,
    });
  const generatorFor = (policy: LoadedCheckpoint, on: Engine) =>
    once(keyOf(`generator in ${on.precision}`, policy), () => compileGenerator(policy, { on }));
  const scorerFor = (policy: LoadedCheckpoint) =>
    once(keyOf('scorer', policy), () =>
      createScorer(engine, {
        config: policy.model,
        batch: config.batchSize,
        length: longest(policy) + config.maxNewTokens,
      }),
    );

  const sample = (generator: Generator, policy: LoadedCheckpoint, options: Sampling): Promise<Generation> =>
    generator.generate({
      parameters: policy.parameters,
      prompts: encode(policy),
      eosId: policy.tokenizer.eosId,
      stopAtEos: true,
      seed,
      step: 0,
      ...options,
    });

  return {
    prepare: async (policy) => {
      const inInt8 = config.weights === 'int8';
      const generator = inInt8
        ? await compileGenerator(policy, { on: answering, int8: policy.parameters })
        : await generatorFor(policy, answering);
      return async () => {
        const generation = await sample(generator, policy, {
          temperature: config.temperature,
          topK: config.topK,
          topP: config.topP,
          purpose: 'evaluation/answers',
        });
        if (inInt8) generator.dispose(); // its weights are no other policy's
        return generation;
      };
    },

    score: async ({ responses }) => {
      if (reward === undefined) return undefined;
      const sequences = encode(reward).map((prompt, index) => [...prompt, ...responses[index]]);
      const scorer = await once('reward', () =>
        createRewardModelScorer(engine, {
          rewardModel: reward,
          batch: config.batchSize,
          length: longest(reward) + config.maxNewTokens,
        }),
      );
      return scorer.score(sequences);
    },

    klToReference: async (policy) => {
      if (reference === undefined) return undefined;
      const generator = await generatorFor(policy, engine); // in float32, as its samples have to be the policy's own
      const generation = await sample(generator, policy, { temperature: 1, purpose: 'evaluation/kl' });
      const prompted = encode(policy);
      const sequences = prompted.map((prompt, index) => [...prompt, ...generation.responses[index]]);
      const from = prompted.map((prompt) => prompt.length);
      const measure = async (model: LoadedCheckpoint): Promise<Float32Array[]> =>
        (await scorerFor(model)).logprobs({ parameters: model.parameters, sequences, from, temperature: 1 });
      const logprobs = await measure(policy);
      const others = await measure(reference);
      let total = 0;
      logprobs.forEach((row, index) => row.forEach((logprob, token) => (total += logprob - others[index][token])));
      return total / sequences.length;
    },

    perplexity: async (policy) => {
      if (config.text === undefined) return undefined;
      const shape = { rows: config.batchSize, columns: policy.model.contextLength };
      const text = await openTextBatches(store, { id: config.text, tokenizer: policy.tokenizer, ...shape, seed });
      const step = await once(keyOf('perplexity', policy), () =>
        Promise.resolve(compileLmStep(engine, { model: policy.model, ...shape })),
      );
      return Math.exp(await step.meanLoss(policy.parameters, text.everyBatch()));
    },
  };
}

/** Runs each maker once per key and hands its result out again. */
function memoise(): <T>(key: string, make: () => Promise<T>) => Promise<T> {
  const made = new Map<string, Promise<unknown>>();
  return <T>(key: string, make: () => Promise<T>): Promise<T> => {
    const existing = (made.get(key) as Promise<T> | undefined) ?? make();
    made.set(key, existing);
    return existing;
  };
}
