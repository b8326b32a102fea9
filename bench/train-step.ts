/**
 * Speed of a training step of a GPT-2: forward, backward and AdamW.
 *   node scripts/bench.mjs train-step [tiny|small|gpt2] [steps] [threads]
 */
import { availableParallelism } from 'node:os';
import { adamw } from '@pavlov/algorithms';
import { hiddenStates, initParameters, lmLogits } from '@pavlov/model';
import {
  allocateParameters,
  createEngine,
  gradientBuffers,
  gradientOutputs,
  gradientsOf,
  parameterSignature,
  tf,
  tokenLogprobs,
} from '@pavlov/tensor';
import { median, sizeFromArguments } from './sizes';

/** Steps that fill caches and the memory arena, and are not counted. */
const warmUp = 3;

async function main([sizeName, steps = '20', threads = String(availableParallelism())]: string[]): Promise<void> {
  const { config, batch } = sizeFromArguments(sizeName);
  const shape = [batch, config.contextLength];
  const count = batch * config.contextLength;
  const weights = initParameters(config, 'lm', 1);
  const gradients = allocateParameters(weights.layout);
  const optimiser = adamw({ layout: weights.layout, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0 });
  let state = optimiser.init();

  const engine = await createEngine({ threads: Number(threads) });
  const started = performance.now();
  const step = await engine.compile(
    ({ tokens, targets, ...parameters }) => {
      const { loss, gradients } = gradientsOf((p) => {
        const logits = lmLogits(p, hiddenStates(p, tokens, config), config); // [N, V]
        return { loss: tf.neg(tf.mean(tokenLogprobs(logits, targets))) as tf.Scalar };
      }, parameters);
      return { loss, ...gradientOutputs(gradients) };
    },
    {
      ...parameterSignature(weights.layout),
      tokens: { shape, dtype: 'int32' },
      targets: { shape: [count], dtype: 'int32' },
    },
    { name: 'train-step' },
  );
  console.log(`compiled in ${Math.round(performance.now() - started)} ms`);

  const token = (i: number): number => 2 + ((i * 7) % Math.min(config.vocabSize - 2, 97));
  const tokens = Int32Array.from({ length: count }, (_, i) => token(i));
  const targets = Int32Array.from({ length: count }, (_, i) => token(i + 1));
  const [graphMs, updateMs, losses]: [number[], number[], number[]] = [[], [], []];
  for (let n = 0; n < warmUp + Number(steps); n++) {
    const before = performance.now();
    const { loss } = await step.run({ ...weights.views, tokens, targets }, gradientBuffers(gradients));
    const between = performance.now();
    state = optimiser.update({ parameters: weights.data, gradients: gradients.data, state, learningRate: 3e-4 });
    losses.push(loss[0]);
    if (n < warmUp) continue;
    graphMs.push(between - before);
    updateMs.push(performance.now() - between);
  }
  engine.dispose();

  const ms = median(graphMs) + median(updateMs);
  console.log({
    ...config,
    batch,
    threads: Number(threads),
    graphMs: median(graphMs),
    fastestGraphMs: Math.min(...graphMs),
    adamwMs: median(updateMs),
    tokensPerSecond: Math.round((count / ms) * 1000),
    loss: [losses[0], losses.at(-1)],
    residentMb: Math.round(process.memoryUsage().rss / 2 ** 20),
  });
}

void main(process.argv.slice(2));
