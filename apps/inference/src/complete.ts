import { type Store } from '@pavlov/checkpoint-store';
import { type Completion, type CompletionRequest, PavlovError, type SamplingWeights } from '@pavlov/contracts';
import { createGenerator, type Generator } from '@pavlov/model';
import { type Engine, type Parameters } from '@pavlov/tensor';
import { loadCheckpoint, type LoadedCheckpoint, openSamplingEngine } from '@pavlov/training';
import { keepRecentlyUsed } from './recently-used';

/** Checkpoints in memory: enough to compare the stages of one pipeline. */
const keptCheckpoints = 4;
/** Compiled generators in memory, each with its caches. */
const keptGenerators = 4;
/** Prompts are rounded up to a multiple of this, so that one compiled generator serves many lengths. */
const promptStep = 16;

/** A compiled generator. In 8 bits it has weights of its own, which may outlive their checkpoint here. */
interface KeptGenerator {
  readonly generator: Generator;
  readonly int8?: Parameters;
}

/** Answers requests, one at a time. */
export interface Completer extends Disposable {
  /** @throws PavlovError CHECKPOINT_NOT_FOUND, CHECKPOINT_WRONG_KIND, SEQUENCE_TOO_LONG, PRECISION_UNAVAILABLE */
  complete(request: CompletionRequest): Promise<Completion>;
}

/** Room for prompt and answer. A function of the request alone, as the last bits of a result depend on the shape. */
export interface Room {
  readonly batch: number;
  readonly maxPromptTokens: number;
  readonly maxNewTokens: number;
}

/** @throws PavlovError SEQUENCE_TOO_LONG if the prompt leaves no room for an answer */
export function roomFor(asked: { promptTokens: number; maxNewTokens: number; n: number; contextLength: number }): Room {
  const { promptTokens, n, contextLength } = asked;
  const maxNewTokens = Math.min(asked.maxNewTokens, contextLength - promptTokens);
  if (maxNewTokens < 1) {
    throw new PavlovError({
      code: 'SEQUENCE_TOO_LONG',
      field: 'prompt',
      message: `The prompt has ${promptTokens} tokens; the context of the model holds ${contextLength}, an answer included.`,
      hint: 'Shorten the prompt, or ask a model with a longer context.',
    });
  }
  const rounded = Math.ceil(promptTokens / promptStep) * promptStep;
  return { batch: n, maxPromptTokens: Math.min(rounded, contextLength - maxNewTokens), maxNewTokens };
}

/** @param options.threads Threads to compute with, for each kind of weights that is asked for. */
export function createCompleter({ store, threads }: { store: Store; threads: number }): Completer {
  const engines = new Map<SamplingWeights, Engine>();
  const checkpoints = keepRecentlyUsed<LoadedCheckpoint>({ limit: keptCheckpoints });
  const generators = keepRecentlyUsed<KeptGenerator>({
    limit: keptGenerators,
    dispose: ({ generator }) => generator.dispose(),
  });

  const engineFor = async (weights: SamplingWeights): Promise<Engine> => {
    const engine = engines.get(weights) ?? (await openSamplingEngine({ threads, weights }));
    engines.set(weights, engine);
    return engine;
  };

  return {
    async complete(request) {
      const started = performance.now();
      const { checkpoint, prompt, messages, temperature, topK, topP, n, seed, weights } = request;
      const load = () => loadCheckpoint(store, { id: checkpoint, head: 'lm' });
      const { model, parameters, tokenizer } = await checkpoints.get(checkpoint, load);
      const ids = tokenizer.encodePrompt(messages ?? prompt ?? '');
      const { maxNewTokens, contextLength } = { ...request, contextLength: model.contextLength };
      const shape = { config: model, ...roomFor({ promptTokens: ids.length, maxNewTokens, n, contextLength }) };
      const key = JSON.stringify({ ...shape, weights, ...(weights === 'int8' && { checkpoint }) });
      const { generator, int8 } = await generators.get(key, async () => {
        const int8 = weights === 'int8' ? parameters : undefined;
        return { generator: await createGenerator(await engineFor(weights), { ...shape, int8 }), int8 };
      });
      const { responses, logprobs, finished } = await generator.generate({
        parameters: int8 ?? parameters,
        prompts: Array.from({ length: n }, () => ids),
        temperature,
        topK,
        topP,
        eosId: tokenizer.eosId,
        stopAtEos: true,
        seed,
        purpose: 'inference/completion',
        step: 0,
      });
      const choices = responses.map((response, index) => ({
        text: tokenizer.decode(response, { skipSpecialTokens: true }).trim(),
        finish: finished[index] ? ('stop' as const) : ('length' as const),
        tokens: response.length,
        logprob: logprobs[index].reduce((sum, logprob) => sum + logprob, 0),
      }));
      return { checkpoint, choices, promptTokens: ids.length, seconds: (performance.now() - started) / 1000 };
    },
    [Symbol.dispose]: () => engines.forEach((engine) => engine.dispose()),
  };
}
