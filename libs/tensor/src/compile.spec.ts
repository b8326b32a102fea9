/** @jest-environment ./libs/testing/src/native-arrays-environment.ts */
import { installMatchers, tolerances } from '@pavlov/testing';
import type { CompiledFunction } from './compile';
import { createEngine, type Engine } from './engine';
import { tf } from './tf';

installMatchers();

const vector = { shape: [4], dtype: 'float32' } as const;
const integers = { shape: [4], dtype: 'int32' } as const;

describe('compile', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ threads: 2 });
  });
  afterAll(() => engine.dispose());

  describe('reports what cannot be compiled', () => {
    it.each([
      [
        'dataSync',
        ({ x }: Record<string, tf.Tensor>) => ({ y: tf.add(x, tf.exp(x).dataSync()[0]) }),
        /"f".*result of Exp was read/,
      ],
      [
        'arraySync of an input',
        ({ x }: Record<string, tf.Tensor>) => ({ y: tf.add(x, x.arraySync() as number[]) }),
        /"f".*result of input "x" was read/,
      ],
      [
        'an op without a rule',
        ({ x }: Record<string, tf.Tensor>) => ({ y: tf.atan(x) }),
        /op Atan has no rule; the README/,
      ],
      ['a bool output', ({ x }: Record<string, tf.Tensor>) => ({ y: tf.greater(x, 0) }), /Output "y" is bool; cast it/],
      ['no output', () => ({}), /at least one input and one output/],
      ['shapes that do not fit', ({ x }: Record<string, tf.Tensor>) => ({ y: tf.add(x, tf.ones([3])) }), /"f"/],
      [
        'gather with batchDims',
        ({ x }: Record<string, tf.Tensor>) => ({
          y: tf.gather(tf.reshape(x, [2, 2]), tf.tensor2d([[0], [1]], [2, 1], 'int32'), 1, 1),
        }),
        /batchDims has no rule/,
      ],
    ])('%s', async (_, fn, message) => {
      await expect(engine.compile(fn, { x: vector }, { name: 'f' })).rejects.toThrow(message);
    });

    it('a tensor kept from another compilation', async () => {
      let kept: tf.Tensor | undefined;
      await engine.compile(({ x }) => ({ y: (kept = tf.keep(tf.neg(x))) }), { x: vector });
      await expect(engine.compile(({ x }) => ({ y: tf.add(x, kept!) }), { x: vector })).rejects.toThrow(
        'made by Neg was kept from an earlier compile',
      );
    });

    it('compile inside compile', async () => {
      let inner: Promise<CompiledFunction> | undefined;
      await engine.compile(
        ({ x }) => {
          inner = engine.compile((t) => ({ y: t.x }), { x: vector });
          inner.catch(() => undefined);
          return { y: x };
        },
        { x: vector },
      );
      await expect(inner).rejects.toThrow('inside a function that is being compiled');
    });
  });

  it('leaves tfjs as it found it: backend, tensors, and a working state after an error', async () => {
    const cpu = await createEngine({ backend: 'cpu' });
    await tf.setBackend('cpu');
    const before = tf.memory().numTensors;
    await engine.compile(({ x }) => ({ y: tf.mul(tf.softmax(x), 2) }), { x: vector });
    await expect(engine.compile(({ x }) => ({ y: tf.atan(x) }), { x: vector })).rejects.toThrow();
    expect(tf.memory().numTensors).toBe(before);
    expect(tf.getBackend()).toBe('cpu');
    cpu.dispose();
  });

  it('takes constants from tensors that other backends hold', async () => {
    await createEngine({ backend: 'cpu' });
    await tf.setBackend('cpu');
    const captured = tf.tensor1d([1, 2, 3, 4]);
    const fn = await engine.compile(({ x }) => ({ y: tf.mul(x, captured) }), { x: vector });
    expect((await fn.run({ x: Float32Array.of(1, 1, 2, 2) })).y).toEqual(Float32Array.of(1, 2, 6, 8));
    expect(captured.dataSync()).toEqual(Float32Array.of(1, 2, 3, 4));
    captured.dispose();
  });

  describe.each([{}, { binding: 'node' }, { backend: 'cpu' }, { backend: 'wasm' }] as const)(
    'running with %j',
    (options) => {
      let fn: CompiledFunction;
      let own: Engine;
      beforeAll(async () => {
        own = await createEngine({ ...options, threads: 2 });
        fn = await own.compile(
          ({ x, n }) => ({ y: tf.add(tf.mul(x, 2), tf.cast(n, 'float32')), count: tf.add(n, tf.scalar(1, 'int32')) }),
          { x: vector, n: integers },
          { name: 'twice' },
        );
      });
      afterAll(() => own.dispose());
      const feeds = { x: Float32Array.of(1, 2, 3, 4), n: Int32Array.of(10, 20, 30, 40) };

      it('describes its outputs and computes them', async () => {
        expect(fn.outputs).toEqual({ y: vector, count: integers });
        expect(await fn.run(feeds)).toEqual({
          y: Float32Array.of(12, 24, 36, 48),
          count: Int32Array.of(11, 21, 31, 41),
        });
      });

      it('writes into the arrays that it is given, also views of a larger buffer', async () => {
        const large = new Float32Array(100);
        const results = await fn.run(feeds, { y: large.subarray(48, 52) });
        expect(results.y.buffer).toBe(large.buffer);
        expect(Array.from(large.subarray(46, 54))).toEqual([0, 0, 12, 24, 36, 48, 0, 0]);
      });

      it('follows feeds that change in place and feeds in other arrays', async () => {
        const x = Float32Array.of(1, 1, 1, 1);
        const n = new Int32Array(4);
        const first = Float32Array.from((await fn.run({ x, n })).y);
        x.fill(5);
        expect([first, Float32Array.from((await fn.run({ x, n })).y)]).toEqual([
          new Float32Array(4).fill(2),
          new Float32Array(4).fill(10),
        ]);
        expect((await fn.run({ x: x.slice(), n: n.slice().fill(1) })).y).toEqual(new Float32Array(4).fill(11));
      });

      it.each([
        {
          what: 'a missing feed',
          wrong: { n: undefined },
          message: 'input "n" is missing; it must be a Int32Array for int32[4]',
        },
        { what: 'an unknown feed', wrong: { z: feeds.x }, message: 'input "z" is unknown; there are x, n' },
        {
          what: 'a wrong size',
          wrong: { x: new Float32Array(3) },
          message: 'input "x" has 3 elements; float32[4] needs 4',
        },
        {
          what: 'a wrong type',
          wrong: { n: new Float32Array(4) },
          message: 'input "n" must be a Int32Array for int32[4]',
        },
        {
          what: 'a wrong output',
          into: { y: new Int32Array(4) },
          message: 'output "y" must be a Float32Array for float32[4]',
        },
        {
          what: 'an unknown output',
          into: { z: new Float32Array(4) },
          message: 'output "z" is unknown; there are y, count',
        },
      ])('refuses $what', async ({ wrong, into, message }) => {
        await expect(fn.run({ ...feeds, ...wrong } as typeof feeds, into as never)).rejects.toThrow(
          `"twice": ${message}`,
        );
        expect((await fn.run(feeds)).y[0]).toBe(12);
      });

      it('refuses a second run before the first has ended', async () => {
        const first = fn.run(feeds);
        await expect(fn.run(feeds)).rejects.toThrow('"twice" is running');
        await first;
      });

      it('updates in place', async () => {
        const add = await own.compile(
          ({ x, by }) => ({ sum: tf.add(x, by), seen: tf.clone(x) }),
          { x: vector, by: vector },
          { inPlace: { sum: 'x' } },
        );
        const x = Float32Array.of(1, 2, 3, 4);
        const { sum } = await add.run({ x, by: Float32Array.of(1, 1, 1, 1) });
        expect(sum).toBe(x);
        expect(x).toEqual(Float32Array.of(2, 3, 4, 5));
      });

      it('refuses in-place outputs that do not fit', async () => {
        const build = (inPlace: Record<string, string>) =>
          own.compile(({ x, n }) => ({ y: tf.add(x, tf.cast(n, 'float32')) }), { x: vector, n: integers }, { inPlace });
        await expect(build({ y: 'n' })).rejects.toThrow('output "y" is float32[4], but input "n" is int32[4]');
        await expect(build({ z: 'x' })).rejects.toThrow('there is no output "z"');
        await expect(build({ y: 'q' })).rejects.toThrow('there is no input "q"');
      });

      it('takes constants instead of feeds', async () => {
        const scale = Float32Array.of(1, 2, 3, 4);
        const scaled = await own.compile(
          ({ x, s }) => ({ y: tf.mul(x, s) }),
          { x: vector, s: vector },
          { constants: { s: scale } },
        );
        expect((await scaled.run({ x: Float32Array.of(1, 1, 2, 2) })).y).toEqual(Float32Array.of(1, 2, 6, 8));
        await expect(scaled.run({ x: scale, s: scale })).rejects.toThrow('input "s" is unknown; there are x');
        const compile = (constants: Record<string, Float32Array>) =>
          own.compile(({ x, s }) => ({ y: tf.mul(x, s) }), { x: vector, s: vector }, { name: 'scaled', constants });
        await expect(compile({ s: new Float32Array(3) })).rejects.toThrow(
          '"scaled": constant "s" has 3 elements; float32[4] needs 4',
        );
        await expect(compile({ t: scale })).rejects.toThrow('"scaled": constant "t" is unknown; there are x, s');
      });

      it('cannot be used once disposed', async () => {
        const other = await own.compile(({ x }) => ({ y: tf.neg(x) }), { x: vector }, { name: 'gone' });
        const running = other.run({ x: feeds.x });
        other.dispose();
        expect((await running).y).toEqual(Float32Array.of(-1, -2, -3, -4));
        await expect(other.run({ x: feeds.x })).rejects.toThrow('"gone" was disposed');
        other.dispose();
      });
    },
  );

  it('runs synchronously with the same result', async () => {
    const fn = await engine.compile(({ x }) => ({ y: tf.exp(x) }), { x: vector });
    const feeds = { x: Float32Array.of(0, 1, 2, 3) };
    const slow = Float32Array.from((await fn.run(feeds)).y);
    expect(fn.runSync(feeds).y).toEqual(slow);
  });

  it('reports an error of ONNX Runtime and stays usable', async () => {
    const fn = await engine.compile(({ x, i }) => ({ y: tf.gather(x, i) }), {
      x: vector,
      i: { shape: [1], dtype: 'int32' },
    });
    const x = Float32Array.of(1, 2, 3, 4);
    await expect(fn.run({ x, i: Int32Array.of(99) })).rejects.toThrow(/ONNX Runtime: .*Gather/);
    expect((await fn.run({ x, i: Int32Array.of(2) })).y[0]).toBe(3);
  });

  it('keeps the event loop free while it computes', async () => {
    const square = { shape: [700, 700], dtype: 'float32' } as const;
    const fn = await engine.compile(
      ({ x }) => ({ y: Array.from({ length: 12 }).reduce<tf.Tensor>((y) => tf.matMul(y, x), x) }),
      { x: square },
    );
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await fn.run({ x: new Float32Array(700 * 700) });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(2);
  });

  it('gives the numbers of the other bindings and backends', async () => {
    const shape = { shape: [8, 8], dtype: 'float32' } as const;
    const network = ({ x, w }: Record<string, tf.Tensor>) => ({
      y: tf.softmax(tf.matMul(tf.tanh(tf.matMul(x, w)), w, false, true)),
    });
    const feeds = {
      x: Float32Array.from({ length: 64 }, (_, i) => Math.sin(i)),
      w: Float32Array.from({ length: 64 }, (_, i) => Math.cos(i * i)),
    };
    const results = await Promise.all(
      ([{}, { binding: 'node' }, { backend: 'wasm' }, { backend: 'cpu' }] as const).map(async (options) => {
        const own = await createEngine({ ...options, threads: 1 });
        const { y } = await (await own.compile(network, { x: shape, w: shape })).run(feeds);
        return Float32Array.from(y);
      }),
    );
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toBeAllClose(results[0], tolerances.composed);
    expect(results[3]).toBeAllClose(results[0], tolerances.composed);
  });
});

describe('createEngine', () => {
  it('says how to install the TensorFlow backend where it is absent', async () => {
    await expect(createEngine({ backend: 'tensorflow' })).rejects.toThrow(/npm install .*@tensorflow\/tfjs-node/);
  });

  it('reaches ONNX Runtime by its C API unless told otherwise', async () => {
    const engines = [
      await createEngine(),
      await createEngine({ binding: 'node' }),
      await createEngine({ backend: 'cpu' }),
    ];
    expect(engines.map(({ binding }) => binding)).toEqual(['c-api', 'node', undefined]);
  });

  it('refuses thread counts that are none', async () => {
    await expect(createEngine({ threads: 0 })).rejects.toThrow('threads must be a positive integer, got 0');
  });

  it('releases what it compiled', async () => {
    const engine = await createEngine();
    const fn = await engine.compile(({ x }) => ({ y: tf.neg(x) }), { x: vector });
    engine.dispose();
    await expect(fn.run({ x: new Float32Array(4) })).rejects.toThrow('was disposed');
  });

  it('releases it at the end of a block that fails, too', async () => {
    let fn: CompiledFunction | undefined;
    const work = async () => {
      using engine = await createEngine();
      fn = await engine.compile(({ x }) => ({ y: tf.neg(x) }), { x: vector });
      throw new Error('in the middle of it');
    };
    await expect(work()).rejects.toThrow('in the middle of it');
    await expect(fn!.run({ x: new Float32Array(4) })).rejects.toThrow('was disposed');
  });

  it('compiles nothing once disposed, not even what had begun', async () => {
    const engine = await createEngine();
    const compiling = engine.compile(({ x }) => ({ y: tf.neg(x) }), { x: vector }, { name: 'late' });
    engine.dispose();
    await expect(compiling).rejects.toThrow('"late" cannot be compiled: the engine was disposed');
  });
});
