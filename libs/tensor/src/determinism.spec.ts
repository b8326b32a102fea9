import { createHash } from 'node:crypto';
import { randomStream } from '@pavlov/random';
import { createEngine } from './engine';
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

interface Setting {
  readonly threads: number;
  readonly vocabulary: number;
}

/** Trains a two-layer network with attention for 20 steps of plain descent; returns the hash of its weights. */
async function train({ threads, vocabulary: V }: Setting): Promise<string> {
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

  const engine = await createEngine({ threads });
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
  return createHash('sha256').update(Buffer.from(weights.data.buffer)).digest('hex');
}

// Many and few tokens share a row of the table, where the embedding's gradient adds.
it.each([40, 400])(
  'training with %i tokens gives the same bytes, run after run, with any number of threads',
  async (vocabulary) => {
    const hashes = new Set<string>();
    for (const threads of [2, 2, 1, 4]) hashes.add(await train({ threads, vocabulary }));
    expect(hashes.size).toBe(1);
  },
);
