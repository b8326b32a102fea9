import { createEngine } from './engine';
import { tf } from './tf';

const megabytes = 2 ** 20;
const size = 512; // one matrix is 1 MB

async function once(): Promise<void> {
  const engine = await createEngine({ threads: 2 });
  const constant = Float32Array.from({ length: size * size }, (_, i) => i % 7);
  const matrix = { shape: [size, size], dtype: 'float32' } as const;
  const fn = await engine.compile(({ x }) => ({ y: tf.matMul(tf.add(x, tf.tensor2d(constant, [size, size])), x) }), {
    x: matrix,
  });
  for (let run = 0; run < 3; run++) await fn.run({ x: new Float32Array(size * size) });
  engine.dispose();
}

const collect = (globalThis as { gc?: () => void }).gc ?? (() => undefined);

/** Each round holds at least 4 MB of constants, inputs and outputs: were any of it kept, 50 rounds would keep 200 MB and more. */
it('compiling, running and disposing 50 times does not keep memory', async () => {
  for (let warmUp = 0; warmUp < 10; warmUp++) await once();
  collect();
  const before = process.memoryUsage().rss;
  for (let round = 0; round < 50; round++) await once();
  collect();
  expect((process.memoryUsage().rss - before) / megabytes).toBeLessThan(60);
});

/** Each graph has 64 MB between its input and its output. */
it('graphs that run one after the other use the same memory', async () => {
  using engine = await createEngine({ threads: 2 });
  const used: number[] = [];
  for (let nth = 1; nth <= 4; nth++) {
    const rows = 4096 - nth; // another shape for each
    const wide = (x: tf.Tensor): tf.Tensor => tf.tile(tf.reshape(x, [rows, 1]), [1, 4096]);
    const fn = await engine.compile(({ x }) => ({ y: tf.sum(tf.cumsum(wide(x), 1), 1) }), {
      x: { shape: [rows], dtype: 'float32' },
    });
    await fn.run({ x: new Float32Array(rows) });
    used.push(process.memoryUsage().rss / megabytes);
  }
  expect(used[3] - used[0]).toBeLessThan(64);
});
