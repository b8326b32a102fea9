import { int8 } from './conformance.int8';
import { tf } from './tf';
import type { KernelName } from './rules/kernels';
import type { TensorSpec } from './signature';
import { cachedAttention } from './primitives/cached-attention';
import { causalAttention } from './primitives/causal-attention';
import { gelu } from './primitives/gelu';
import { layerNorm } from './primitives/layer-norm';
import { entropy } from './primitives/entropy';
import { linear } from './primitives/linear';
import { linearPanels, packPanels } from './primitives/linear-panels';
import { sample } from './primitives/sample';
import { linearColumns } from './primitives/linear-columns';
import { after, recomputed } from './primitives/recomputed';
import { selfAttention } from './primitives/self-attention';
import type { LogitsOptions } from './primitives/logits';
import { tokenLogprobs } from './primitives/token-logprobs';
import { hasKernels, runTraced } from './trace-backend';

type Tensors = Record<string, tf.Tensor>;

/** A use of a kernel, for comparing what the compiled graph gives with what tfjs's CPU backend gives. */
export interface ConformanceCase {
  readonly fn: (inputs: Tensors) => tf.Tensor | tf.Tensor[];
  readonly inputs: Record<string, TensorSpec>;
  /** Values of the inputs: uniform in [low, high), or integers in that range. */
  readonly range?: readonly [number, number];
}

const float = (...shape: number[]): TensorSpec => ({ shape, dtype: 'float32' });
const int = (...shape: number[]): TensorSpec => ({ shape, dtype: 'int32' });
const yesNo = (x: tf.Tensor): tf.Tensor => tf.cast(x, 'int32');

type Op = (x: tf.Tensor) => tf.Tensor;
type Pair = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

const unary = (op: Op, range: readonly [number, number] = [-3, 3]): ConformanceCase[] => [
  { fn: ({ x }) => op(x), inputs: { x: float(2, 3, 5) }, range },
  { fn: ({ x }) => op(x), inputs: { x: float() }, range },
];

/** Same shapes, broadcasting on either side, and a number that is known while tracing. */
const binary = (op: Pair, range: readonly [number, number] = [-3, 3]): ConformanceCase[] => [
  { fn: ({ a, b }) => op(a, b), inputs: { a: float(2, 3, 4), b: float(2, 3, 4) }, range },
  { fn: ({ a, b }) => op(a, b), inputs: { a: float(4), b: float(2, 3, 1) }, range },
  { fn: ({ a, b }) => op(a, b), inputs: { a: float(2, 3), b: float() }, range },
  { fn: ({ a }) => op(a, tf.ones([2, 1, 4])), inputs: { a: float(3, 1) }, range },
  { fn: ({ b }) => op(tf.fill([3, 4], 0.5), b), inputs: { b: float(4) }, range },
];

/** dyᵀ x, the first four rows before the others. */
function inTwoParts(x: tf.Tensor, dy: tf.Tensor): tf.Tensor {
  if (!hasKernels()) return tf.matMul(dy, x, true);
  const [[x1, x2], [dy1, dy2]] = [x, dy].map((all) => tf.split(all, [4, all.shape[0] - 4]));
  const [added, done] = runTraced('PavlovLinearGradient', { x: x1, dy: dy1 });
  return runTraced('PavlovLinearGradient', { x: after(x2, done), dy: dy2, added })[0];
}

const integers = (op: Pair): ConformanceCase => ({
  fn: ({ a, b }) => op(a, b),
  inputs: { a: int(3, 4), b: int(4) },
  range: [-9, 9],
});

/** Halves hit equality often, which a comparison must get right. */
const comparison = (op: Pair): ConformanceCase[] => [
  { fn: ({ a, b }) => yesNo(op(tf.round(a), tf.round(b))), inputs: { a: float(5, 8), b: float(8) } },
  { fn: ({ a, b }) => yesNo(op(a, b)), inputs: { a: int(5, 8), b: int(8) }, range: [0, 3] },
];

const logical = (op: Pair): ConformanceCase[] => [
  { fn: ({ a, b }) => yesNo(op(tf.greater(a, 0), tf.greater(b, 0))), inputs: { a: float(4, 4), b: float(4) } },
];

const reduction = (
  op: (x: tf.Tensor, axis?: number | number[], keepDims?: boolean) => tf.Tensor,
): ConformanceCase[] => [
  { fn: ({ x }) => op(x), inputs: { x: float(3, 4, 5) } },
  { fn: ({ x }) => op(x, -1), inputs: { x: float(3, 4, 5) } },
  { fn: ({ x }) => op(x, [0, 2], true), inputs: { x: float(3, 4, 5) } },
  { fn: ({ x }) => op(tf.mul(tf.reshape(x, [3, 1]), tf.ones([3, 4])), 1), inputs: { x: float(3) } },
];

const boolReduction = (op: (x: tf.Tensor, axis?: number) => tf.Tensor): ConformanceCase[] => [
  { fn: ({ x }) => yesNo(op(tf.greater(x, 0), 1)), inputs: { x: float(9, 3) } },
  { fn: ({ x }) => yesNo(op(tf.greater(x, 10))), inputs: { x: float(9, 3) } },
  { fn: ({ x }) => yesNo(op(tf.less(x, 10))), inputs: { x: float(9, 3) } },
];

const infinite: Op = (x) => tf.div(1, tf.relu(x));
const notANumber: Op = (x) => tf.sqrt(x);

const matMul = (a: readonly number[], b: readonly number[]): ConformanceCase[] =>
  [
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ].map(([transposeA, transposeB]) => {
    const stored = (shape: readonly number[], transposed: boolean) =>
      float(...shape.slice(0, -2), ...(transposed ? [shape.at(-1)!, shape.at(-2)!] : shape.slice(-2)));
    return {
      fn: ({ x, y }) => tf.matMul(x, y, transposeA, transposeB),
      inputs: { x: stored(a, transposeA), y: stored(b, transposeB) },
    };
  });

const differentiated =
  (fn: (x: tf.Tensor) => tf.Tensor) =>
  ({ x }: Tensors) =>
    tf.grad((t) => tf.sum(tf.square(fn(t))))(x);

/** A prompt of rows of different length, and one position more: what lies in the cache shows in its result only. */
const cache = float(2, 2, 16, 8);
const decoding: ConformanceCase = {
  fn: ({ prompt, next, pastK, pastV }) => {
    const ints = (...values: number[]): tf.Tensor => tf.tensor1d(values, 'int32');
    const first = cachedAttention({ qkv: prompt, pastK, pastV, lengths: ints(3, 1), total: ints(3) });
    const caches = { pastK: first.presentK, pastV: first.presentV };
    const { y } = cachedAttention({ qkv: next, ...caches, lengths: ints(4, 2), total: ints(4) });
    return [tf.slice(first.y, [0, 0, 0], [1, 3, 16]), y];
  },
  inputs: { prompt: float(2, 3, 48), next: float(2, 1, 48), pastK: cache, pastV: cache },
};

/** Rows shorter and longer than a vector, with and without a rest, and rows in several blocks. */
const matrices = [[3, 6], [2, 3, 8], [21, 7], [5, 84], [9, 128], [300, 131]] as const; // prettier-ignore

/** Of an input, and of a sum that is needed beside it. */
const layerNorms = (
  fn: (y: (x: tf.Tensor, g: tf.Tensor, b: tf.Tensor) => tf.Tensor, inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[],
): readonly ConformanceCase[] =>
  matrices.flatMap((shape) => {
    const inputs = { x: float(...shape), g: float(shape.at(-1)!), b: float(shape.at(-1)!) };
    const beside = (x: tf.Tensor, g: tf.Tensor, b: tf.Tensor): tf.Tensor => {
      const sum = tf.add(x, tf.square(x));
      return tf.add(sum, layerNorm(sum, g, b));
    };
    const range = [-1, 1] as const; // for sums of squares that float32 can tell apart
    return [layerNorm, beside].map((y) => ({ fn: ({ x, g, b }: Tensors) => fn(y, [x, g, b]), inputs, range }));
  });

/** Every way to say how logits become probabilities; targets are every id but the excluded one, which is the last. */
const logits = (
  fn: (x: tf.Tensor, targets: tf.Tensor, options: LogitsOptions) => tf.Tensor,
): readonly ConformanceCase[] =>
  (
    [
      [4, 3],
      [3, 7],
      [5, 16],
      [9, 100],
      [300, 131],
    ] as const
  ).flatMap(([rows, columns]) =>
    // prettier-ignore
    ['plain', 'number', 'tensor'].map((temperature): ConformanceCase => ({
      fn: ({ x, t }) => {
        const targets = tf.tensor1d(Array.from({ length: rows }, (_, row) => (row * 7) % (columns - 1)), 'int32'); // prettier-ignore
        const options = {
          plain: {},
          number: { temperature: 0.7, excluded: columns - 1 },
          tensor: { temperature: tf.add(tf.square(t), 1), excluded: columns - 2 },
        }[temperature]!;
        return fn(x, temperature === 'tensor' ? tf.zerosLike(targets) : targets, options);
      },
      inputs: { x: float(rows, columns), t: float(1) },
      range: [-9, 9],
    })),
  );

const panels = (
  [
    ['inputs first', float(5, 37), 37, undefined],
    ['outputs first', float(37, 5), 37, 'gelu'],
    ['inputs first', float(20, 64), 64, 'gelu'],
    ['outputs first', float(64, 20), 64, undefined],
  ] as const
).map(([order, w, outputs, activation]): ConformanceCase => ({
  fn: ({ x, w, b, residual }) => [
    linearPanels({ x, panels: packPanels(w, order), b, activation }),
    linearPanels({ x, panels: packPanels(w, order), b, activation, residual }),
  ],
  inputs: {
    x: float(17, order === 'inputs first' ? w.shape[0] : w.shape[1]),
    w,
    b: float(outputs),
    residual: float(17, outputs),
  },
}));

/** [B, H, T, D]: parts and multiples of blocks and vectors. */
const attentionShapes = [
  [2, 3, 5, 4],
  [1, 1, 1, 3],
  [2, 1, 16, 8],
  [1, 2, 33, 32],
  [2, 2, 64, 16],
  [1, 2, 77, 20],
  [1, 1, 100, 64],
  [1, 1, 47, 72],
  [1, 1, 8, 37],
] as const;

/** At least one case for every kernel that has a rule; the type makes a missing one a compile error. */
export const conformanceCases: Record<KernelName, readonly ConformanceCase[]> = {
  Abs: [...unary(tf.abs), { fn: ({ x }) => tf.abs(x), inputs: { x: int(7) }, range: [-5, 5] }],
  Ceil: unary(tf.ceil),
  Cos: unary(tf.cos),
  Erf: unary(tf.erf),
  Exp: unary(tf.exp),
  Floor: unary(tf.floor),
  IsInf: [{ fn: ({ x }) => yesNo(tf.isInf(infinite(x))), inputs: { x: float(9) } }],
  IsNan: [{ fn: ({ x }) => yesNo(tf.isNaN(notANumber(x))), inputs: { x: float(9) } }],
  Log: unary(tf.log, [0.1, 5]),
  LogicalNot: [{ fn: ({ x }) => yesNo(tf.logicalNot(tf.greater(x, 0))), inputs: { x: float(9) } }],
  Neg: unary(tf.neg),
  Reciprocal: unary(tf.reciprocal, [0.1, 5]),
  Relu: unary(tf.relu),
  Round: [
    ...unary(tf.round),
    { fn: () => tf.round(tf.tensor1d([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])), inputs: { x: float() } },
  ],
  Sigmoid: unary(tf.sigmoid, [-30, 30]),
  Sign: unary(tf.sign),
  Sin: unary(tf.sin),
  Softplus: unary(tf.softplus, [-30, 30]),
  Sqrt: unary(tf.sqrt, [0, 5]),
  Tanh: unary(tf.tanh, [-12, 12]),

  Add: [...binary(tf.add), integers(tf.add), { fn: ({ x }) => tf.add(x, tf.zeros([2, 3])), inputs: { x: float(3) } }],
  Maximum: [...binary(tf.maximum), integers(tf.maximum)],
  Minimum: [...binary(tf.minimum), integers(tf.minimum)],
  Multiply: [...binary(tf.mul), integers(tf.mul)],
  Pow: binary(tf.pow, [0.2, 2]),
  RealDiv: binary(tf.div, [0.2, 2]),
  Sub: [...binary(tf.sub), integers(tf.sub)],
  Equal: comparison(tf.equal),
  Greater: comparison(tf.greater),
  GreaterEqual: comparison(tf.greaterEqual),
  Less: comparison(tf.less),
  LessEqual: comparison(tf.lessEqual),
  NotEqual: comparison(tf.notEqual),
  LogicalAnd: logical(tf.logicalAnd),
  LogicalOr: logical(tf.logicalOr),

  AddN: [{ fn: ({ a, b, c }) => tf.addN([a, b, c]), inputs: { a: float(2, 3), b: float(2, 3), c: float(2, 3) } }],
  ClipByValue: unary((x) => tf.clipByValue(x, -1, 0.5)),
  FloorDiv: [
    { fn: ({ a, b }) => tf.floorDiv(a, tf.add(b, 1)), inputs: { a: int(6, 7), b: int(7) }, range: [0, 9] },
    { fn: ({ a }) => tf.floorDiv(tf.neg(a), tf.scalar(4, 'int32')), inputs: { a: int(9) }, range: [0, 9] },
  ],
  IsFinite: [
    { fn: ({ x }) => [yesNo(tf.isFinite(infinite(x))), yesNo(tf.isFinite(notANumber(x)))], inputs: { x: float(9) } },
  ],
  Rsqrt: unary(tf.rsqrt, [0.1, 5]),
  Select: [
    { fn: ({ a, b }) => tf.where(tf.greater(a, 0), a, b), inputs: { a: float(3, 4), b: float(3, 4) } },
    { fn: ({ a, b }) => tf.where(tf.greater(a, 0), tf.zerosLike(b), b), inputs: { a: float(4), b: float(3, 4) } },
  ],
  Square: unary(tf.square),
  SquaredDifference: binary(tf.squaredDifference),
  Step: [...unary((x) => tf.step(x)), ...unary((x) => tf.step(x, 0.3))],

  All: boolReduction(tf.all),
  Any: boolReduction(tf.any),
  ArgMax: [
    { fn: ({ x }) => tf.argMax(x, -1), inputs: { x: float(5, 6) } },
    { fn: ({ x }) => tf.argMax(x, 0), inputs: { x: int(5, 6) }, range: [0, 3] },
  ],
  Cumsum: [false, true].flatMap((exclusive) =>
    [false, true].map((reverse) => ({
      fn: ({ x }: Tensors) => tf.cumsum(x, 1, exclusive, reverse),
      inputs: { x: float(2, 5, 3) },
    })),
  ),
  Max: reduction(tf.max),
  Mean: [...reduction(tf.mean), { fn: ({ x }) => tf.mean(x, 0), inputs: { x: int(4, 3) }, range: [0, 9] }],
  Min: reduction(tf.min),
  Softmax: [{ fn: ({ x }) => tf.softmax(x), inputs: { x: float(4, 9) }, range: [-30, 30] }],
  Sum: [
    ...reduction(tf.sum),
    { fn: ({ x }) => tf.sum(tf.greater(x, 0), 0), inputs: { x: float(6, 3) } },
    { fn: ({ x }) => tf.sum(x, []), inputs: { x: float(6, 3) } },
    // Sums of whole numbers are exact, in whatever order.
    ...[...matrices, [1500, 83], [999, 64], [3, 500]].map((shape) => ({
      fn: ({ x }: Tensors) => tf.sum(tf.round(x), 0, shape.length === 2),
      inputs: { x: float(...shape) },
    })),
  ],

  BatchMatMul: [
    ...matMul([3, 4], [4, 5]),
    ...matMul([2, 3, 3, 4], [2, 3, 4, 5]),
    ...matMul([1, 3, 4], [1, 4, 5]),
    ...matMul([2, 3, 4], [1, 4, 5]),
  ],

  Cast: [
    { fn: ({ x }) => tf.cast(x, 'int32'), inputs: { x: float(9) } },
    { fn: ({ x }) => tf.cast(x, 'float32'), inputs: { x: int(9) }, range: [-5, 5] },
    { fn: ({ x }) => tf.cast(tf.cast(tf.round(x), 'bool'), 'float32'), inputs: { x: float(9) } },
    { fn: ({ x }) => tf.add(x, tf.cast(tf.onesLike(tf.cast(x, 'int32')), 'float32')), inputs: { x: float(9) } },
  ],
  Concat: [
    { fn: ({ a, b }) => tf.concat([a, b, a], -1), inputs: { a: float(2, 3), b: float(2, 1) } },
    { fn: ({ a, b }) => tf.concat([a, b], 0), inputs: { a: int(2, 3), b: int(1, 3) }, range: [0, 9] },
  ],
  ExpandDims: [0, 1, -1].map((axis) => ({
    fn: ({ x }: Tensors) => tf.expandDims(x, axis),
    inputs: { x: float(2, 3) },
  })),
  Fill: [{ fn: ({ x }) => tf.concat([x, tf.fill([2, 3], 1.5)], 0), inputs: { x: float(2, 3) } }],
  Identity: [{ fn: ({ x }) => tf.clone(x), inputs: { x: float(2, 3) } }],
  OnesLike: [{ fn: ({ x }) => [tf.onesLike(x), tf.onesLike(tf.cast(x, 'int32'))], inputs: { x: float(2, 3) } }],
  Pack: [0, 1, -1].map((axis) => ({
    fn: ({ a, b }: Tensors) => tf.stack([a, b], axis),
    inputs: { a: float(2, 3), b: float(2, 3) },
  })),
  PadV2: [
    {
      fn: ({ x }) =>
        tf.pad(x, [
          [1, 0],
          [2, 3],
        ]),
      inputs: { x: float(2, 3) },
    },
    {
      fn: ({ x }) =>
        tf.pad(
          x,
          [
            [0, 2],
            [0, 0],
          ],
          7,
        ),
      inputs: { x: int(2, 3) },
      range: [0, 9],
    },
  ],
  Range: [
    { fn: ({ x }) => tf.add(x, tf.range(3, 12, 2)), inputs: { x: float(5) } },
    { fn: ({ x }) => tf.add(x, tf.range(4, 0, -1, 'int32')), inputs: { x: int(4) }, range: [0, 9] },
  ],
  Reshape: [
    {
      fn: ({ x }) => [tf.reshape(x, [3, -1]), tf.reshape(x, [24]), tf.reshape(tf.ones([4, 2]), [8])],
      inputs: { x: float(2, 3, 4) },
    },
  ],
  Slice: [
    { fn: ({ x }) => tf.slice(x, [1, 0, 2], [1, -1, 2]), inputs: { x: float(2, 3, 4) } },
    { fn: ({ x }) => tf.slice(x, 1), inputs: { x: int(3, 4) }, range: [0, 9] },
  ],
  SplitV: [
    { fn: ({ x }) => tf.split(x, 3, -1), inputs: { x: float(2, 6) } },
    { fn: ({ x }) => tf.split(x, [1, 3], 0), inputs: { x: float(4, 2) } },
  ],
  Tile: [{ fn: ({ x }) => tf.tile(x, [2, 1, 3]), inputs: { x: float(2, 3, 2) } }],
  Transpose: [
    { fn: ({ x }) => tf.transpose(x), inputs: { x: float(2, 3, 4) } },
    { fn: ({ x }) => tf.transpose(x, [1, 0, 2]), inputs: { x: int(2, 3, 4) }, range: [0, 9] },
  ],
  Unpack: [{ fn: ({ x }) => tf.unstack(x, 1), inputs: { x: float(2, 3, 4) } }],
  ZerosLike: [{ fn: ({ x }) => tf.concat([tf.zerosLike(x), x]), inputs: { x: float(2, 3) } }],

  GatherV2: [
    {
      fn: ({ x, i }) => tf.gather(x, tf.clipByValue(i, 0, 4)),
      inputs: { x: float(5, 3), i: int(2, 4) },
      range: [0, 5],
    },
    {
      fn: ({ x, i }) => tf.gather(x, tf.clipByValue(i, 0, 2), 1),
      inputs: { x: float(5, 3), i: int(4) },
      range: [0, 5],
    },
  ],
  OneHot: [
    { fn: ({ i }) => tf.oneHot(i, 5), inputs: { i: int(2, 7) }, range: [0, 5] },
    { fn: ({ i }) => tf.oneHot(i, 5, 2, -1, 'float32'), inputs: { i: int(7) }, range: [0, 5] },
  ],
  UnsortedSegmentSum: [
    {
      fn: ({ x, i }) => tf.unsortedSegmentSum(x, i as tf.Tensor1D, 4),
      inputs: { x: float(9, 3), i: int(9) },
      range: [0, 4],
    },
    ...[0, 1].map((more) => ({
      // More ids than rows, which are added to something else.
      fn: ({ x, i, y }: Tensors) => {
        const sums = tf.unsortedSegmentSum(x, i as tf.Tensor1D, 130);
        return more === 0 ? tf.add(sums, y) : [tf.add(y, sums), tf.mul(sums, y)];
      },
      inputs: { x: float(40, 131), i: int(40), y: float(130, 131) },
      range: [0, 130] as const,
    })),
    {
      fn: ({ x, i }) => tf.unsortedSegmentSum(x, i as tf.Tensor1D, 40),
      inputs: { x: float(9, 2, 3), i: int(9) },
      range: [0, 4],
    },
  ],

  PavlovCachedAttention: [decoding],
  PavlovFillCache: [decoding],
  PavlovStepAttention: [decoding],
  PavlovPackMatrix: panels,
  PavlovLinearPanels: [...panels, ...int8],
  PavlovSample: [7, 100].map((vocabulary) => ({
    fn: ({ logits, uniforms }) => {
      const { tokens, shifted, totals } = sample({ logits, uniforms });
      return [tokens, shifted, totals];
    },
    inputs: { logits: float(20, vocabulary), uniforms: float(20) },
    range: [0, 0.99],
  })),
  PavlovGelu: unary(gelu, [-6, 6]),
  PavlovGeluGradient: [{ fn: differentiated(gelu), inputs: { x: float(50) }, range: [-6, 6] }],
  PavlovLayerNorm: layerNorms((y, [x, g, b]) => y(x, g, b)),
  PavlovLayerNormGradient: layerNorms((y, inputs) => tf.grads((x, g, b) => tf.sum(tf.square(y(x, g, b))))(inputs)),
  PavlovLinearInt8: int8,
  PavlovLinearColumns: [
    {
      fn: ({ w, b, x }) => linearColumns({ w, b, x }),
      inputs: { w: float(7, 5), b: float(7, 1), x: float(6, 5) },
    },
    {
      fn: ({ w, b, x }) => linearColumns({ w, b, x, transposed: true }),
      inputs: { w: float(7, 5), b: float(7, 1), x: float(5, 6) },
    },
  ],
  PavlovLinear: [
    { fn: ({ x, w, b }) => linear({ x, w, b }), inputs: { x: float(6, 5), w: float(5, 7), b: float(7) } },
    {
      fn: ({ x, w, b }) => tf.grads((x, w, b) => tf.sum(tf.square(linear({ x, w, b }))))([x, w, b]),
      inputs: { x: float(6, 5), w: float(5, 7), b: float(7) },
    },
  ],
  PavlovEntropy: logits((x, _, options) => entropy(x, options)),
  PavlovEntropyGradient: logits((x, _, options) => tf.grad((t) => tf.sum(tf.square(entropy(t, options))))(x)),
  PavlovLogSoftmax: [
    { fn: ({ x }) => entropy(x), inputs: { x: float(4, 9) }, range: [-20, 20] },
    { fn: differentiated(entropy), inputs: { x: float(4, 9) } },
  ],
  PavlovSelfAttention: attentionShapes.map(([batch, heads, length, size]) => ({
    fn: ({ qkv }) => selfAttention({ qkv, heads, length }),
    inputs: { qkv: float(batch * length, 3 * heads * size) },
  })),
  PavlovSelfAttentionGradient: attentionShapes.map(([batch, heads, length, size]) => ({
    fn: ({ qkv }) => tf.grad((x) => tf.sum(tf.square(selfAttention({ qkv: x, heads, length }))))(qkv),
    inputs: { qkv: float(batch * length, 3 * heads * size) },
    range: [-2, 2],
  })),
  PavlovLinearGradient: [
    {
      fn: ({ x, dy }) => inTwoParts(x, dy),
      inputs: { x: float(9, 20), dy: float(9, 35) },
    },
    { fn: ({ x, dy }) => inTwoParts(x, dy), inputs: { x: float(40, 5), dy: float(40, 3) } },
  ],
  PavlovMatMul: [
    {
      fn: ({ q, k, v }) => causalAttention({ q, k, v }),
      inputs: { q: float(2, 3, 5, 4), k: float(2, 3, 5, 4), v: float(2, 3, 5, 4) },
    },
    {
      fn: ({ q, k, v }) => tf.grads((q, k, v) => tf.sum(tf.square(causalAttention({ q, k, v }))))([q, k, v]),
      inputs: { q: float(2, 3, 5, 4), k: float(2, 3, 5, 4), v: float(2, 3, 5, 4) },
    },
  ],
  PavlovAfter: [
    { fn: ({ x, y }) => after(x, y), inputs: { x: float(3, 4), y: float(2, 5) } },
    { fn: ({ x, y }) => after(tf.reshape(x, [4, 3]), tf.square(y)), inputs: { x: float(2, 6), y: float(4, 3) } },
    {
      fn: ({ x, w }) =>
        tf.grads((x, w) =>
          tf.sum(tf.square(recomputed({ x, weights: { w } }, ({ x, weights: { w } }) => tf.matMul(x, w)))),
        )([x, w]),
      inputs: { x: float(3, 4), w: float(4, 5) },
    },
  ],
  PavlovAddAt: [
    {
      fn: ({ x }) => tf.grad((t) => tf.sum(tf.square(tokenLogprobs(t, tf.tensor1d([3, 0, 6], 'int32')))))(x),
      inputs: { x: float(3, 7) },
    },
  ],
  PavlovTakeLast: [
    { fn: ({ x }) => tokenLogprobs(x, tf.tensor1d([3, 0, 6], 'int32')), inputs: { x: float(3, 7) }, range: [-20, 20] },
  ],
  PavlovTokenLogprobs: logits(tokenLogprobs),
  PavlovTokenLogprobsGradient: logits((x, targets, options) =>
    tf.grad((t) => tf.sum(tf.square(tokenLogprobs(t, targets, options))))(x),
  ),
};
