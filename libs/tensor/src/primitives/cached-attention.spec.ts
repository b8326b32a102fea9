/** @jest-environment ./libs/testing/src/native-arrays-environment.ts */
import { randomStream } from '@pavlov/random';
import { installMatchers, tolerances } from '@pavlov/testing';
import { vectorExtensions } from '@pavlov/kernels';
import { createEngine, type Engine, type EngineOptions } from '../engine';
import { tf } from '../tf';
import { cachedAttention, type CachedAttentionInput } from './cached-attention';
import { causalAttention } from './causal-attention';

installMatchers();

const [B, H, D, L, P] = [3, 2, 8, 16, 5]; // batch, heads, head size, cache length, prompt length
const prompts = [5, 2, 3]; // real prompt lengths of the rows
const C = H * D;

type Row = Float32Array;

/** Row-wise q, k and v of whole sequences, [B, L, C]. */
function sequences(): Record<'q' | 'k' | 'v', Float32Array> {
  const random = randomStream(3, 'cached-attention');
  const draw = () => Float32Array.from({ length: B * L * C }, () => random.normal());
  return { q: draw(), k: draw(), v: draw() };
}

/** Full causal attention over whole sequences, [B, L, C]. */
async function reference(engine: Engine, feeds: Record<'q' | 'k' | 'v', Float32Array>): Promise<Float32Array> {
  const heads = (x: tf.Tensor) => tf.transpose(tf.reshape(x, [B, L, H, D]), [0, 2, 1, 3]);
  const spec = { shape: [B, L, C], dtype: 'float32' } as const;
  const full = await engine.compile(
    ({ q, k, v }) => ({
      y: tf.reshape(tf.transpose(causalAttention({ q: heads(q), k: heads(k), v: heads(v) }), [0, 2, 1, 3]), [B, L, C]),
    }),
    { q: spec, k: spec, v: spec },
  );
  return Float32Array.from((await full.run(feeds)).y);
}

async function decoder(engine: Engine, length: number) {
  const fresh = { shape: [B, length, C], dtype: 'float32' } as const;
  const cache = { shape: [B, H, L, D], dtype: 'float32' } as const;
  return engine.compile(
    ({ q, k, v, ...rest }) => ({
      ...cachedAttention({ qkv: tf.concat([q, k, v], -1), ...(rest as Omit<CachedAttentionInput, 'qkv'>) }),
    }),
    {
      q: fresh,
      k: fresh,
      v: fresh,
      pastK: cache,
      pastV: cache,
      lengths: { shape: [B], dtype: 'int32' },
      total: { shape: [1], dtype: 'int32' },
    },
    { inPlace: { presentK: 'pastK', presentV: 'pastV' } },
  );
}

const engines: EngineOptions[] = [
  ...(['none', ...vectorExtensions()] as const).map((kernels) => ({ backend: 'onnxruntime', kernels }) as const),
  { backend: 'onnxruntime', binding: 'node' },
  { backend: 'cpu' },
];

describe.each(engines)('with a cache, on $backend $binding $kernels', (options) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ ...options, threads: 2 });
  });
  afterAll(() => engine.dispose());

  it('a ragged prompt and single steps give what full causal attention gives', async () => {
    const all = sequences();
    const expected = await reference(engine, all);
    const at = (array: Float32Array, row: number, position: number): Row =>
      array.subarray((row * L + position) * C, (row * L + position + 1) * C);
    const cache = { pastK: new Float32Array(B * H * L * D), pastV: new Float32Array(B * H * L * D) };
    const pick = (positions: (row: number, step: number) => number, length: number) =>
      Object.fromEntries(
        Object.entries(all).map(([name, array]) => {
          const chunk = new Float32Array(B * length * C);
          for (let row = 0; row < B; row++)
            for (let step = 0; step < length; step++)
              chunk.set(at(array, row, positions(row, step)), (row * length + step) * C);
          return [name, chunk];
        }),
      );

    // Padding repeats later positions of the row: visible nonsense, should it leak.
    const prefill = await decoder(engine, P);
    const first = await prefill.run({
      ...pick((_, step) => step, P),
      ...cache,
      lengths: Int32Array.from(prompts),
      total: Int32Array.of(P),
    });
    for (let row = 0; row < B; row++)
      for (let step = 0; step < prompts[row]; step++)
        expect(first.y.slice((row * P + step) * C, (row * P + step + 1) * C)).toBeAllClose(
          at(expected, row, step),
          tolerances.composed,
        );

    const step = await decoder(engine, 1);
    for (let n = 0; n < L - P; n++) {
      const positions = prompts.map((length) => length + n);
      const lengths = Int32Array.from(positions, (position) => position + 1);
      const { y } = await step.run({
        ...pick((row) => positions[row], 1),
        ...cache,
        lengths,
        total: Int32Array.of(Math.max(...lengths)),
      });
      for (let row = 0; row < B; row++)
        expect(y.slice(row * C, (row + 1) * C)).toBeAllClose(at(expected, row, positions[row]), tolerances.composed);
    }
  });
});

it('refuses heads of a width that ONNX Runtime cannot use', async () => {
  const engine = await createEngine();
  const qkv = { shape: [1, 1, 12], dtype: 'float32' } as const;
  const cache = { shape: [1, 1, 16, 4], dtype: 'float32' } as const;
  const row = { shape: [1], dtype: 'int32' } as const;
  const compiling = engine.compile(
    ({ qkv, pastK, pastV, lengths, total }) => ({ ...cachedAttention({ qkv, pastK, pastV, lengths, total }) }),
    { qkv, pastK: cache, pastV: cache, lengths: row, total: row },
  );
  await expect(compiling).rejects.toThrow('multiple of 8');
});
