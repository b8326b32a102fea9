import { createHash } from 'node:crypto';
import { vectorExtensions } from '@pavlov/kernels';
import { randomStream } from '@pavlov/random';
import { createEngine, type EngineOptions } from './engine';
import { gradientBuffers, gradientOutputs, gradientsOf } from './gradients';
import { allocateParameters, layoutParameters, parameterSignature } from './parameters';
import { embedding } from './primitives/embedding';
import { gelu } from './primitives/gelu';
import { layerNorm } from './primitives/layer-norm';
import { selfAttention } from './primitives/self-attention';
import { tokenLogprobs } from './primitives/token-logprobs';
import { tf } from './tf';

const [B, T, H, D] = [4, 32, 2, 16]; // batch, time, heads, head size
const C = H * D;

const kernelSets = [...vectorExtensions(), 'none'] as const;

interface Setting extends Pick<EngineOptions, 'kernels' | 'threads'> {
  readonly vocabulary: number;
}

/** Trains a two-layer network with attention for 20 steps of plain descent; returns the hash of its weights. */
async function train({ vocabulary: V, ...options }: Setting): Promise<string> {
  const layout = layoutParameters([
    { name: 'table', shape: [V, C] },
    { name: 'gamma', shape: [C] },
    { name: 'beta', shape: [C] },
    { name: 'mix', shape: [C, 3 * C] },
    { name: 'up', shape: [C, 4 * C] },
    { name: 'bias', shape: [4 * C] },
    { name: 'down', shape: [4 * C, C] },
  ]);
  const [weights, gradients] = [allocateParameters(layout), allocateParameters(layout)];
  const random = randomStream(11, 'determinism');
  weights.data.forEach((_, i) => (weights.data[i] = 0.1 * random.normal()));
  weights.views.gamma.fill(1);

  const engine = await createEngine(options);
  const tokens = { shape: [B * T], dtype: 'int32' } as const;
  const step = await engine.compile(
    ({ inputs, targets, ...parameters }) => {
      const { loss, gradients } = gradientsOf((p) => {
        const x = layerNorm(embedding(p.table, inputs), p.gamma, p.beta); // [B·T, C]
        const y = selfAttention({ qkv: tf.matMul(x, p.mix), heads: H, length: T }); // [B·T, C]
        const hidden = tf.add(x, tf.matMul(gelu(tf.add(tf.matMul(tf.add(x, y), p.up), p.bias)), p.down));
        const logits = tf.matMul(hidden, p.table, false, true); // [B·T, V]
        return { loss: tf.neg(tf.mean(tokenLogprobs(logits, targets))) as tf.Scalar };
      }, parameters);
      return { loss, ...gradientOutputs(gradients) };
    },
    { ...parameterSignature(layout), inputs: tokens, targets: tokens },
  );

  const losses: number[] = [];
  for (let n = 0; n < 20; n++) {
    const batch = randomStream(11, 'batch', [n]);
    const inputs = Int32Array.from({ length: B * T }, () => batch.below(V));
    const targets = inputs.map((token) => (token * 3 + 1) % V);
    const { loss } = await step.run({ ...weights.views, inputs, targets }, gradientBuffers(gradients));
    losses.push(loss[0]);
    for (let i = 0; i < layout.length; i++) weights.data[i] -= 0.3 * gradients.data[i];
  }
  engine.dispose();
  expect(losses.at(-1)).toBeLessThan(0.9 * losses[0]);
  return createHash('sha256').update(weights.data).digest('hex');
}

// Many and few tokens share a row of the table, where the embedding's gradient adds.
it.each(kernelSets.flatMap((kernels) => [40, 400].map((vocabulary) => [vocabulary, kernels] as const)))(
  'training with %i tokens gives the same bytes, run after run, with any number of threads (kernels: %s)',
  async (vocabulary, kernels) => {
    const hashes = new Set<string>();
    for (const threads of [2, 2, 1, 4]) hashes.add(await train({ kernels, threads, vocabulary }));
    expect(hashes.size).toBe(1);
  },
);

it.each(kernelSets)(
  'rows that fill many tasks give the same bytes with any number of threads (kernels: %s)',
  async (kernels) => {
    const [N, C, V] = [700, 200, 301];
    const random = randomStream(12, 'rows');
    const float = (...shape: number[]) => ({ shape, dtype: 'float32' }) as const;
    const signature = { x: float(N, C), y: float(N, C), gamma: float(C), bias: float(C), table: float(V, C) };
    const sizes = { x: N * C, y: N * C, gamma: C, bias: C, table: V * C };
    const feeds = Object.fromEntries(
      Object.entries(sizes).map(([name, size]) => [name, Float32Array.from({ length: size }, () => random.normal())]),
    );
    const ids = Int32Array.from({ length: N }, () => random.below(V));
    const hashes = new Set<string>();
    for (const threads of [1, 2, 2, 4]) {
      const engine = await createEngine({ kernels, threads });
      const step = await engine.compile((parameters) => {
        const { gradients } = gradientsOf((p) => {
          const sum = tf.add(p.x, tf.add(gelu(p.y), embedding(p.table, tf.tensor1d(ids, 'int32'))));
          const hidden = tf.add(tf.add(sum, layerNorm(sum, p.gamma, p.bias)), p.bias); // [N, C]
          const logits = tf.matMul(hidden, p.table, false, true); // [N, V]
          return { loss: tf.sum(tokenLogprobs(logits, tf.tensor1d(ids, 'int32'))) as tf.Scalar };
        }, parameters);
        return gradientOutputs(gradients);
      }, signature);
      const gradients = await step.run(feeds);
      const hash = createHash('sha256');
      for (const gradient of Object.values(gradients)) hash.update(gradient);
      hashes.add(hash.digest('hex'));
      engine.dispose();
    }
    expect(hashes.size).toBe(1);
  },
);
