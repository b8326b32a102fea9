import { PavlovError } from '@pavlov/contracts';
import { randomStream } from '@pavlov/random';
import { allocate, type BoundFunction, type Buffers, type Engine, type Parameters } from '@pavlov/tensor';
import { setImmediate } from 'node:timers/promises';
import { createDecoder, type DecoderShape } from './decoder';
import { createSampler } from './sampler';
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
  /** Rows that were computed for them, ended and idle ones included: `tokens / rows` is how full the batches were. */
  readonly rows: number;
}

/** One call at a time: the caches are shared. */
export interface Generator {
  generate(options: GenerateOptions): Promise<Generation>;
  dispose(): void;
}

/** A response while it grows. */
interface Row {
  readonly prompt: readonly number[];
  readonly response: number[];
  readonly logprobs: number[];
  readonly uniform: () => number;
  /** Whether EOS was sampled. */
  finished: boolean;
}

/**
 * Compiles KV-cached sampling with continuous batching: up to `batch` rows decode together, one token per row and step.
 * Rows that have ended make room for prompts that wait, a quarter of the batch at a time, so that few passes read many
 * prompts. When none waits, the batch halves as soon as what is left fits.
 *
 * @throws PavlovError CONFIG_CONFLICT when prompt and response do not fit the context
 */
export async function createGenerator(engine: Engine, shape: DecoderShape): Promise<Generator> {
  const { config, batch, maxPromptTokens, maxNewTokens } = shape;
  checkRoom(shape);
  const decoder = await createDecoder(engine, shape);
  await decoder.prefill(batch);
  await (decoder.sampledStep ?? decoder.step)(batch);
  const admitted = Math.max(1, Math.floor(batch / 4));
  const sizes = stepSizes(batch);
  const { vocabSize } = config;
  const caches = decoder.cacheNames.map((name) => [name, allocate(decoder.cacheOf(batch))] as const);
  const cacheRow = caches[0][1].length / batch;
  const prompts = new Int32Array(batch * maxPromptTokens);
  const tokens = new Int32Array(batch);
  const positions = new Int32Array(batch);
  const temperature = new Float32Array(1);
  const probabilities = new Float32Array(batch * vocabSize);
  const uniforms = new Float32Array(batch);
  const sampled = { tokens: new Int32Array(batch), shifted: new Float32Array(batch), totals: new Float32Array(batch) };

  /** What a graph of `count` rows reads and writes, for the slots from `first` on. */
  const slice = (first: number, count: number) => {
    const part = <A extends Float32Array | Int32Array>(array: A, row: number): A =>
      array.subarray(first * row, (first + count) * row) as A;
    return {
      feeds: {
        ...Object.fromEntries(caches.map(([name, cache]) => [name, part(cache, cacheRow)])),
        positions: part(positions, 1),
        temperature,
      },
      into: { probabilities: part(probabilities, vocabSize) },
    };
  };
  const moveSlot = (from: number, to: number): void => {
    for (const [, cache] of caches) cache.copyWithin(to * cacheRow, from * cacheRow, (from + 1) * cacheRow);
    tokens[to] = tokens[from];
    positions[to] = positions[from];
  };

  /** Fills the rows' responses, and counts the rows that it took. */
  async function generate(rows: readonly Row[], options: GenerateOptions): Promise<number> {
    const { parameters, stopAtEos } = options;
    const pick = createSampler({
      vocabSize,
      temperature: options.temperature,
      topK: options.topK ?? 0,
      topP: options.topP ?? 1,
    });
    temperature[0] = options.temperature === 0 ? 1 : options.temperature;
    // Where the graph can sample, it does; but not from the most probable tokens only.
    const { sampledStep } = decoder;
    const samplesInGraph =
      sampledStep !== undefined && options.temperature > 0 && !options.topK && (options.topP ?? 1) === 1;
    const hasEnded = (row: Row): boolean => row.response.length === maxNewTokens || (row.finished && stopAtEos);
    const weights = await decoder.stepWeights(parameters);
    let computed = 0;
    let waiting = rows;
    /** Row of each slot that is taken; the taken ones come first. */
    let slots: Row[] = [];

    const take = (slot: number, token: number, logprob: number): void => {
      if (token < 0) throw notFinite(options);
      const row = slots[slot];
      row.response.push(token);
      row.logprobs.push(logprob);
      row.finished ||= token === options.eosId;
      tokens[slot] = token;
    };
    const sampleFrom = (first: number): void => {
      for (let slot = first; slot < slots.length; slot++) {
        if (hasEnded(slots[slot])) continue;
        const token = pick(probabilities, slot, slots[slot].uniform());
        take(slot, token, Math.log(probabilities[slot * vocabSize + token]));
      }
    };
    const step = samplesInGraph
      ? sampledSteps(sampledStep, weights)
      : async (size: number): Promise<void> => {
          const { feeds, into } = slice(0, size);
          const graph = await decoder.step(size);
          await graph.run({ ...weights, ...feeds, tokens: tokens.subarray(0, size) }, into);
          sampleFrom(0);
        };
    /** Steps that sample by themselves, with what they read and write bound once for each number of rows. */
    function sampledSteps(compile: NonNullable<typeof sampledStep>, weights: Buffers): (size: number) => Promise<void> {
      const bound = new Map<number, BoundFunction>();
      const turn = createTurn();
      return async (size) => {
        let graph = bound.get(size);
        if (!graph) {
          const compiled = await compile(size);
          const own = { tokens: tokens.subarray(0, size), uniforms: uniforms.subarray(0, size) };
          graph = compiled.bind({ ...weights, ...slice(0, size).feeds, ...own }, takeRows(sampled, size));
          bound.set(size, graph);
        }
        slots.forEach((row, slot) => (uniforms[slot] = hasEnded(row) ? 0 : Math.min(row.uniform(), largestUniform)));
        await turn(graph);
        slots.forEach((row, slot) => {
          if (!hasEnded(row)) take(slot, sampled.tokens[slot], sampled.shifted[slot] - Math.log(sampled.totals[slot]));
        });
      };
    }
    /** Reads waiting prompts into free slots, with a graph of `count` rows. */
    const admit = async (count: number): Promise<void> => {
      const first = slots.length;
      const newcomers = waiting.slice(0, count);
      waiting = waiting.slice(count);
      slots = [...slots, ...newcomers];
      const { feeds, into } = slice(first, count);
      const read = prompts.subarray(0, count * maxPromptTokens);
      const texts = newcomers.map(({ prompt }) => prompt);
      layOut(texts, read, { columns: maxPromptTokens, padId: config.padId });
      for (let row = 0; row < count; row++) positions[first + row] = (texts[row]?.length ?? 1) - 1;
      const prefill = await decoder.prefill(count);
      await prefill.run({ ...parameters.views, ...feeds, tokens: read }, into);
      computed += count;
      sampleFrom(first);
    };
    /** Ended rows leave, and the last ones move into the gaps. */
    const retire = (live: number): void => {
      let last = slots.length - 1;
      for (let gap = 0; gap < live; gap++) {
        if (!hasEnded(slots[gap])) continue;
        while (hasEnded(slots[last])) last--;
        moveSlot(last, gap);
        slots[gap] = slots[last--];
      }
      slots.length = live;
    };

    await admit(batch);
    for (;;) {
      const live = slots.filter((row) => !hasEnded(row)).length;
      const canAdmit = waiting.length > 0 && batch - live >= admitted;
      if (canAdmit || sizeFor(sizes, live) < sizeFor(sizes, slots.length)) retire(live);
      if (canAdmit) {
        await admit(admitted);
        continue;
      }
      if (live === 0) return computed;
      const size = sizeFor(sizes, slots.length);
      for (let slot = 0; slot < size; slot++) {
        if (slot >= slots.length)
          positions[slot] = 0; // idle: it writes where a prompt will begin
        else if (!hasEnded(slots[slot])) positions[slot]++;
      }
      await step(size);
      computed += size;
    }
  }

  return {
    async generate(options) {
      if (shape.int8 && options.parameters !== shape.int8)
        throw new RangeError('A generator in 8 bits has the weights that it was created with, and no others');
      checkSequences(options.prompts, { longest: maxPromptTokens, vocabSize });
      const rows = options.prompts.map((prompt, index): Row => {
        const { uniform } = randomStream(options.seed, options.purpose, [options.step, index]);
        return { prompt, response: [], logprobs: [], uniform, finished: false };
      });
      const computed = rows.length > 0 ? await generate(rows, options) : 0;
      return {
        responses: rows.map((row) => row.response),
        logprobs: rows.map((row) => Float32Array.from(row.logprobs)),
        finished: rows.map((row) => row.finished),
        tokens: rows.reduce((sum, row) => sum + row.response.length, 0),
        rows: computed,
      };
    },
    dispose: () => decoder.dispose(),
  };
}

/** The largest float32 below 1. */
const largestUniform = 1 - 2 ** -24;

const takeRows = (
  arrays: Readonly<Record<string, Float32Array | Int32Array>>,
  rows: number,
): Record<string, Float32Array | Int32Array> =>
  Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, array.subarray(0, rows)]));

/** Milliseconds for which the event loop may wait. */
const patience = 10;

/** Runs steps one after the other. Handing a short one to another thread takes longer than to wait for it. */
function createTurn(): (step: BoundFunction) => Promise<void> {
  let last = Infinity;
  let waited = 0;
  return async (step) => {
    const started = performance.now();
    if (last > patience) {
      await step.run();
    } else {
      if (waited + last > patience) {
        await setImmediate();
        waited = 0;
      }
      step.runSync();
      waited += performance.now() - started;
    }
    last = performance.now() - started;
  };
}

/**
 * Numbers of rows to decode with, largest first: halves of the batch. Not below 32, where a matrix has too few rows for ONNX
 * Runtime's products to be the same on any number of threads (libs/tensor/README.md), and where a step costs the same anyway.
 */
function stepSizes(batch: number): number[] {
  const sizes = [batch];
  while (sizes.at(-1)! >= 64) sizes.push(Math.ceil(sizes.at(-1)! / 2));
  return sizes;
}

/** The smallest of the sizes that has room for so many rows. */
function sizeFor(sizes: readonly number[], rows: number): number {
  return sizes.findLast((size) => size >= rows) ?? sizes[0];
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
    field: 'probabilities',
    message: `The model’s probabilities are not numbers (${purpose}, step ${step}).`,
    hint: 'Its weights have diverged: lower the learning rate of the stage that trained it.',
  });
}
