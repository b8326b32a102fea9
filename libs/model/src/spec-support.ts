import { randomStream } from '@pavlov/random';
import { allocateParameters, copyParameters, type Parameters } from '@pavlov/tensor';
import type { Head, TransformerConfig } from './config';
import type { GenerateOptions } from './generator';
import { transformerLayout } from './layout';

/** A transformer small enough for unit tests. */
export const smallConfig: TransformerConfig = {
  vocabSize: 40,
  contextLength: 16,
  layers: 2,
  heads: 2,
  width: 16,
  padId: 1,
};

/** Random parameters, every one of which matters: weights are large, biases and normalisations are not 0 and 1. */
export function shakenParameters(config: TransformerConfig, head: Head, seed: number): Parameters {
  const parameters = allocateParameters(transformerLayout(config, head));
  for (const [name, view] of Object.entries(parameters.views)) {
    const { normal } = randomStream(seed, name);
    const centre = /ln_[12f]\.weight$/.test(name) ? 1 : 0;
    for (let i = 0; i < view.length; i++) view[i] = centre + 0.3 * normal();
  }
  return parameters;
}

/** Sequences of the given lengths, without EOS (0) and PAD (1). */
export function randomSequences(lengths: readonly number[], vocabSize: number, seed: number): number[][] {
  return lengths.map((length, row) => {
    const { below } = randomStream(seed, 'sequences', [row]);
    return Array.from({ length }, () => 2 + below(vocabSize - 2));
  });
}

/** Five prompts of at most 6 tokens for `smallConfig`, and how they are answered. */
export const samplingOf = (parameters: Parameters): GenerateOptions => ({
  parameters,
  prompts: randomSequences([6, 1, 3, 5, 2], smallConfig.vocabSize, 4),
  temperature: 0.8,
  eosId: 0,
  stopAtEos: false,
  seed: 11,
  purpose: 'spec',
  step: 2,
});

/**
 * The slope of a loss along one random direction of each parameter: by central differences of `step`, and by the
 * gradients that `run` gives beside the loss, as `grad:<parameter>`.
 */
export async function slopesOf(
  parameters: Parameters,
  {
    run,
    step,
  }: { run: (views: Parameters['views']) => Promise<Readonly<Record<string, ArrayLike<number>>>>; step: number },
): Promise<{ measured: number[]; byGradient: number[] }> {
  const outputs = await run(parameters.views);
  const gradients = Object.fromEntries(Object.entries(outputs).map(([name, values]) => [name, Array.from(values)]));
  const measured: number[] = [];
  const byGradient: number[] = [];
  for (const { name, size } of parameters.layout.entries) {
    const { normal } = randomStream(1, `direction/${name}`);
    const direction = Float32Array.from({ length: size }, () => normal() / Math.sqrt(size));
    const lossAt = async (distance: number): Promise<number> => {
      const moved = copyParameters(parameters);
      direction.forEach((value, i) => (moved.views[name][i] += distance * value));
      return (await run(moved.views)).loss[0];
    };
    const [ahead, behind] = [await lossAt(step), await lossAt(-step)];
    measured.push((ahead - behind) / (2 * step));
    byGradient.push(direction.reduce((sum, value, i) => sum + value * gradients[`grad:${name}`][i], 0));
  }
  return { measured, byGradient };
}
