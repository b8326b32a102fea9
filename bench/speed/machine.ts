import { tf, type Engine } from '@pavlov/tensor';

/** What a run of an anchor is worth, in billions: floating-point operations, or bytes. */
interface Anchor {
  readonly run: () => Promise<unknown>;
  readonly billions: number;
}

const [rows, inner, columns] = [2048, 1024, 2048];

/** A matrix product that is large enough to run at the processor's peak. */
export async function compileSgemm(engine: Engine): Promise<Anchor> {
  const a = { shape: [rows, inner], dtype: 'float32' } as const;
  const b = { shape: [inner, columns], dtype: 'float32' } as const;
  const product = await engine.compile(({ a, b }) => ({ y: tf.matMul(a, b) }), { a, b }, { name: 'sgemm' });
  const feeds = { a: new Float32Array(rows * inner).fill(0.5), b: new Float32Array(inner * columns).fill(0.25) };
  return { run: () => product.run(feeds), billions: (2 * rows * inner * columns) / 1e9 };
}

/** Half a gigabyte, which no cache holds. */
const floats = 2 ** 27;
const readColumns = 2 ** 12;

/** Reads memory once from end to end: the sums of its columns. */
export async function compileRead(engine: Engine): Promise<Anchor> {
  const table = { shape: [floats / readColumns, readColumns], dtype: 'float32' } as const;
  const read = await engine.compile(({ table }) => ({ y: tf.sum(table, 0) }), { table }, { name: 'read' });
  const feeds = { table: new Float32Array(floats).fill(1) };
  return { run: () => read.run(feeds), billions: (floats * 4) / 1e9 };
}
