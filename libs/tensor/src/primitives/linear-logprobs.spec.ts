import { computesBfloat16, vectorExtensions } from '@pavlov/kernels';
import { randomStream } from '@pavlov/random';
import { createEngine } from '../engine';
import { gradientOutputs, gradientsOf } from '../gradients';
import { tf } from '../tf';
import { entropy } from './entropy';
import { linearEntropy, linearLogprobs, type LinearLogitsInput } from './linear-logprobs';
import { tokenLogprobs } from './token-logprobs';

/** More logits than are computed at once, in three parts: the last one is one row. */
const [N, V, C] = [1025, 16_400, 24];

const precisionsOf = (kernels: string) =>
  kernels === 'avx512' && computesBfloat16() ? (['float32', 'bfloat16'] as const) : (['float32'] as const);
const engines = [
  { kernels: 'none', precision: 'float32' } as const,
  ...vectorExtensions().flatMap((kernels) => precisionsOf(kernels).map((precision) => ({ kernels, precision }))),
];

const random = randomStream(1, 'spec');
const noise = (count: number) => Float32Array.from({ length: count }, () => 2 * random.uniform() - 1);
const feeds = {
  x: noise(N * C),
  table: noise(V * C),
  dy: noise(N),
  targets: Int32Array.from({ length: N }, (_, n) => (n * 7919) % V),
};
const signature = {
  x: { shape: [N, C], dtype: 'float32' },
  table: { shape: [V, C], dtype: 'float32' },
  dy: { shape: [N], dtype: 'float32' },
  targets: { shape: [N], dtype: 'int32' },
} as const;

type Measured = Record<'logprobs' | 'entropies', tf.Tensor>;

it.each(engines)(
  'logits in parts give the same bits as all at once (kernels "$kernels", $precision)',
  async (options) => {
    using engine = await createEngine({ ...options, threads: 2 });
    const evaluate = async (measure: (input: LinearLogitsInput & { targets: tf.Tensor }) => Measured) => {
      const step = await engine.compile(({ x, table, dy, targets }) => {
        const { metrics, gradients } = gradientsOf(
          ({ x, table }) => {
            const { logprobs, entropies } = measure({ x, table, targets, options: { temperature: 0.7, excluded: 5 } });
            return { loss: tf.sum(tf.mul(logprobs, dy)) as tf.Scalar, metrics: { logprobs, entropies } };
          },
          { x, table },
        );
        return { ...metrics, ...gradientOutputs(gradients) };
      }, signature);
      return step.run(feeds);
    };
    const whole = await evaluate(({ x, table, targets, options }) => {
      const logits = tf.matMul(x, table, false, true);
      return { logprobs: tokenLogprobs(logits, targets, options), entropies: entropy(logits, options) };
    });
    const parts = await evaluate((input) => ({ logprobs: linearLogprobs(input), entropies: linearEntropy(input) }));
    for (const [name, values] of Object.entries(whole)) {
      expect(parts[name]).toEqual(values);
      expect(Math.max(...values.subarray(0, 1000).map(Math.abs))).toBeGreaterThan(1e-3);
    }
  },
);
