import { computesBfloat16, vectorExtensions } from '@pavlov/kernels';
import { randomStream } from '@pavlov/random';
import { createEngine, type Engine } from '../engine';
import { tf } from '../tf';
import { selfAttention } from './self-attention';

const [H, D] = [2, 20];
const C = H * D;

/** B sequences of T tokens. */
interface Batch {
  readonly length: number;
  /** [B·T, 3C] */
  readonly qkv: Float32Array;
  /** [B·T, C] */
  readonly dy: Float32Array;
}

function drawBatch(sequences: number, length: number): Batch {
  const random = randomStream(3, 'self-attention');
  const normals = (size: number): Float32Array => Float32Array.from({ length: size }, () => random.normal());
  return { length, qkv: normals(sequences * length * 3 * C), dy: normals(sequences * length * C) };
}

/** Rows of `width` numbers, of the sequences that `order` names, followed by `padding` until each has `length` rows. */
function arrange(
  rows: Float32Array,
  { width, from, order, length, padding }: { width: number; from: number; order: number[]; length: number; padding: number }, // prettier-ignore
): Float32Array {
  const arranged = new Float32Array(order.length * length * width).fill(padding);
  order.forEach((sequence, i) => {
    const row = rows.subarray(sequence * from * width, (sequence * from + Math.min(from, length)) * width);
    arranged.set(row, i * length * width);
  });
  return arranged;
}

async function attend(engine: Engine, { length, qkv, dy }: Batch): Promise<Record<'y' | 'dqkv', Float32Array>> {
  const rows = dy.length / C;
  const compiled = await engine.compile(
    ({ qkv, dy }) => {
      const attention = (x: tf.Tensor): tf.Tensor => selfAttention({ qkv: x, heads: H, length });
      return { y: attention(qkv), dqkv: tf.grad((x) => tf.sum(tf.mul(attention(x), dy)))(qkv) };
    },
    { qkv: { shape: [rows, 3 * C], dtype: 'float32' }, dy: { shape: [rows, C], dtype: 'float32' } },
  );
  const { y, dqkv } = await compiled.run({ qkv, dy });
  compiled.dispose();
  return { y, dqkv } as Record<'y' | 'dqkv', Float32Array>;
}

const engines = [
  ...vectorExtensions().map((kernels) => ({ kernels, precision: 'float32' }) as const),
  ...(computesBfloat16() ? [{ kernels: 'avx512', precision: 'bfloat16' } as const] : []),
];

describe.each(engines)('with kernels "$kernels" in $precision', (options) => {
  let engine: Engine;
  beforeAll(async () => (engine = await createEngine({ threads: 2, ...options })));
  afterAll(() => engine.dispose());

  // From less than a vector to more than two blocks.
  it.each([3, 16, 37, 64, 70])('%i tokens give the same bytes wherever they stand and whatever follows', async (T) => {
    const batch = drawBatch(2, T);
    const alone = await attend(engine, batch);
    const longer = { from: T, order: [1, 0, 1], length: T + 29 };
    const padded = await attend(engine, {
      length: longer.length,
      qkv: arrange(batch.qkv, { ...longer, width: 3 * C, padding: 3 }),
      dy: arrange(batch.dy, { ...longer, width: C, padding: 0 }),
    });
    const back = { from: longer.length, order: [1, 0], length: T, padding: 0 };
    expect(arrange(padded.y, { ...back, width: C })).toEqual(alone.y);
    expect(arrange(padded.dqkv, { ...back, width: 3 * C })).toEqual(alone.dqkv);
  });

  it.each([NaN, Infinity, -Infinity])(
    '%p reaches its own sequence from its position on, and nothing else',
    async (bad) => {
      const T = 50;
      const batch = drawBatch(3, T);
      const expected = (await attend(engine, batch)).y;
      const position = 21;
      const first = T + position; // in the second sequence, in its first head
      batch.qkv.fill(bad, first * 3 * C, first * 3 * C + D); // q: this position only
      batch.qkv.fill(bad, (first + 5) * 3 * C + 2 * C, (first + 5) * 3 * C + 2 * C + D); // v: from there on
      const { y } = await attend(engine, batch);
      y.forEach((value, i) => {
        const row = Math.floor(i / C);
        const hit = i % C < D && (row === first || (row >= first + 5 && row < 2 * T));
        expect(hit ? Number.isFinite(value) : value).toBe(hit ? false : expected[i]);
      });
    },
  );

  it('scores far apart leave one key, and equal ones all', async () => {
    const length = 40;
    const qkv = new Float32Array(length * 3 * C);
    for (let row = 0; row < length; row++) {
      qkv.fill(100, row * 3 * C, row * 3 * C + D); // the first head looks for large keys, the second does not care
      qkv.fill(row % 8 === 0 ? 50 + row : -50, row * 3 * C + C, row * 3 * C + C + D);
      qkv.fill(row, row * 3 * C + 2 * C, (row + 1) * 3 * C);
    }
    const { y } = await attend(engine, { length, qkv, dy: new Float32Array(length * C) });
    for (let row = 0; row < length; row++) {
      expect(y[row * C]).toBe(row - (row % 8));
      expect(y[row * C + D]).toBeCloseTo(row / 2, 4);
    }
  });
});
