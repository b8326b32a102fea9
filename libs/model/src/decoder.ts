import {
  type Buffers,
  cacheSpec,
  type CompiledFunction,
  type Engine,
  type Parameters,
  type Signature,
  type TensorSpec,
} from '@pavlov/tensor';
import type { TransformerConfig } from './config';
import { decode } from './decode';
import { changingWeights, int8Weights, parameterWeights, type StepWeights } from './step-weights';

export interface DecoderShape {
  readonly config: TransformerConfig;
  /** B, most rows decoded together. */
  readonly batch: number;
  /** P, room for a prompt. */
  readonly maxPromptTokens: number;
  readonly maxNewTokens: number;
  /**
   * Weights that will not change. Their matrices are then rounded to 8 bits, for all tokens but each answer's first, which is
   * faster the larger the model is, and costs a little accuracy. Not for answers to learn from by their log-probs.
   */
  readonly int8?: Parameters;
}

/**
 * The graphs of KV-cached decoding, for n rows each. All take the caches `pastK0`, `pastV0` … and append to them in place; `positions` int32 [n], where each row's last given token stands; and `temperature` [1].
 * Both give the `probabilities` [n, V] of each row's next token.
 */
export interface Decoder {
  /** Whole prompts, `tokens` int32 [n, P], right-padded; reads the parameters as they are. */
  prefill(rows: number): Promise<CompiledFunction>;
  /** The weights as steps read them. Valid until the next call. */
  stepWeights(parameters: Parameters): Promise<Buffers>;
  /** One more token per row, `tokens` int32 [n]. */
  step(rows: number): Promise<CompiledFunction>;
  /**
   * The same, but instead of probabilities it takes `uniforms` [n] and gives a sample: `tokens`, `shifted` and `totals`, as the
   * primitive `sample` does. Undefined without kernels of our own, where that would be slower.
   */
  readonly sampledStep: ((rows: number) => Promise<CompiledFunction>) | undefined;
  /** A cache of so many rows. */
  cacheOf(rows: number): TensorSpec;
  readonly cacheNames: readonly string[];
  dispose(): void;
}

/** Compiles each graph when its number of rows is first asked for. */
export async function createDecoder(engine: Engine, shape: DecoderShape): Promise<Decoder> {
  const { config, maxPromptTokens, maxNewTokens } = shape;
  const { heads, width, layers } = config;
  const length = Math.ceil((maxPromptTokens + maxNewTokens) / 16) * 16; // what `cachedAttention` asks for
  const cacheOf = (rows: number): TensorSpec => cacheSpec(engine, { rows, heads, length, size: width / heads });
  const cacheNames = Array.from({ length: layers }, (_, layer) => [`pastK${layer}`, `pastV${layer}`]).flat();
  const inPlace = Object.fromEntries(cacheNames.map((name) => [presentOf(name), name]));
  const stepWeights = shape.int8 ? int8Weights(engine, config, shape.int8) : await changingWeights(engine, config);
  const common = (rows: number): Signature => {
    const cache = cacheOf(rows);
    return {
      ...Object.fromEntries(cacheNames.map((name) => [name, cache])),
      positions: { shape: [rows], dtype: 'int32' },
      temperature: { shape: [1], dtype: 'float32' },
    };
  };

  const fewRows = engine.kernels !== undefined;
  const compile = (
    [rows, length]: readonly [number, number?],
    { maps, signature }: Pick<StepWeights, 'maps' | 'signature'>,
    { name, samples = false }: { name: string; samples?: boolean },
  ): Promise<CompiledFunction> =>
    engine.compile(
      ({ tokens, positions, temperature, uniforms, ...inputs }) =>
        decode({ inputs, maps: maps(inputs), tokens, positions, temperature, uniforms, fewRows }, config),
      {
        ...signature,
        ...common(rows),
        tokens: { shape: length === undefined ? [rows] : [rows, length], dtype: 'int32' },
        ...(samples && { uniforms: { shape: [rows], dtype: 'float32' } }),
      },
      { name, inPlace },
    );
  const compilePrefill = (rows: number): Promise<CompiledFunction> =>
    compile([rows, maxPromptTokens], parameterWeights(config), { name: 'decoder-prefill' });
  const compileStep = (rows: number, samples = false): Promise<CompiledFunction> =>
    compile([rows], stepWeights, { name: 'decoder-step', samples });

  const prefills = new Map<number, CompiledFunction>();
  const steps = new Map<number, CompiledFunction>();
  const sampledSteps = new Map<number, CompiledFunction>();
  const once = async (
    known: Map<number, CompiledFunction>,
    rows: number,
    compile: (rows: number) => Promise<CompiledFunction>,
  ): Promise<CompiledFunction> => {
    const compiled = known.get(rows) ?? (await compile(rows));
    known.set(rows, compiled);
    return compiled;
  };
  return {
    prefill: (rows) => once(prefills, rows, compilePrefill),
    stepWeights: (parameters) => stepWeights.load(parameters),
    step: (rows) => once(steps, rows, compileStep),
    sampledStep: engine.kernels && ((rows) => once(sampledSteps, rows, (count) => compileStep(count, true))),
    cacheOf,
    cacheNames,
    dispose: () =>
      [stepWeights, ...[prefills, steps, sampledSteps].flatMap((known) => [...known.values()])].forEach((compiled) =>
        compiled.dispose(),
      ),
  };
}

const presentOf = (cacheName: string): string => cacheName.replace('past', 'present');
