/** @jest-environment ./libs/testing/src/native-arrays-environment.ts */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createEngine } from './engine';
import { tf } from './tf';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as (options: { type: 'minor' | 'major' }) => void;

it('survives garbage collection: nothing that native code points to is collected or moved', async () => {
  const engine = await createEngine({ threads: 1 });
  const spec = { shape: [3], dtype: 'float32' } as const;
  const fn = await engine.compile(({ x, y }) => ({ sum: tf.add(x, y), product: tf.mul(x, y) }), { x: spec, y: spec });
  for (let i = 0; i < 20; i++) {
    // Arrays of a few bytes start on V8's moving heap.
    const feeds = { x: Float32Array.of(i, 1, 2), y: Float32Array.of(3, i, 5) };
    const into = { sum: new Float32Array(3) };
    const type = i % 5 === 0 ? 'major' : 'minor'; // a minor one moves young arrays; a major one collects all, and takes long
    const running = fn.run(feeds, into);
    collect({ type });
    const { product } = await running;
    collect({ type });
    expect([Array.from(into.sum), Array.from(product)]).toEqual([
      [i + 3, i + 1, 7],
      [3 * i, i, 10],
    ]);
  }
  engine.dispose();
});

it.each(['c-api', 'node'] as const)(
  'leaves a profile of each function where one is asked for (%s)',
  async (binding) => {
    const profileFolder = await mkdtemp(join(tmpdir(), 'pavlov-profile-'));
    const spec = { shape: [4, 4], dtype: 'float32' } as const;
    const engine = await createEngine({ threads: 1, binding, kernels: 'none', profileFolder });
    const fn = await engine.compile(({ x }) => ({ y: tf.matMul(x, x) }), { x: spec }, { name: 'square' });
    await fn.run({ x: new Float32Array(16) });
    engine.dispose();
    const files = await readdir(profileFolder);
    expect(files).toEqual([expect.stringMatching(/^square_.*\.json$/)]);
    const events = JSON.parse(await readFile(join(profileFolder, files[0]), 'utf8')) as {
      args?: { op_name?: string };
    }[];
    expect(events.map(({ args }) => args?.op_name)).toContain('Gemm');
    await rm(profileFolder, { recursive: true });
  },
);
