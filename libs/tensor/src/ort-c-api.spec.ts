import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createEngine } from './engine';
import { tf } from './tf';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

it('survives garbage collection: nothing that native code points to is collected or moved', async () => {
  const engine = await createEngine({ threads: 1 });
  const spec = { shape: [3], dtype: 'float32' } as const;
  const fn = await engine.compile(({ x, y }) => ({ sum: tf.add(x, y), product: tf.mul(x, y) }), { x: spec, y: spec });
  for (let i = 0; i < 20; i++) {
    // Arrays of a few bytes start on V8's moving heap.
    const feeds = { x: Float32Array.of(i, 1, 2), y: Float32Array.of(3, i, 5) };
    const into = { sum: new Float32Array(3) };
    const running = fn.run(feeds, into);
    collect();
    const { product } = await running;
    collect();
    expect([Array.from(into.sum), Array.from(product)]).toEqual([
      [i + 3, i + 1, 7],
      [3 * i, i, 10],
    ]);
  }
  engine.dispose();
});
