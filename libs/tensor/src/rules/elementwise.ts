import { broadcastShape, type GraphBuilder, type Operand, sameShape } from '../operand';
import type { BinaryKernel, Rule, Rules, UnaryKernel } from './kernels';

/** tfjs kernel → ONNX operator of the same meaning. */
const unaryOperators: Record<UnaryKernel, string> = {
  Abs: 'Abs',
  Ceil: 'Ceil',
  Cos: 'Cos',
  Erf: 'Erf',
  Exp: 'Exp',
  Floor: 'Floor',
  IsInf: 'IsInf',
  IsNan: 'IsNaN',
  Log: 'Log',
  LogicalNot: 'Not',
  Neg: 'Neg',
  Reciprocal: 'Reciprocal',
  Relu: 'Relu',
  Round: 'Round',
  Sigmoid: 'Sigmoid',
  Sign: 'Sign',
  Sin: 'Sin',
  Softplus: 'Softplus',
  Sqrt: 'Sqrt',
  Tanh: 'Tanh',
};

const binaryOperators: Record<BinaryKernel, { op: string; bool?: true; identity?: number }> = {
  Add: { op: 'Add', identity: 0 },
  Maximum: { op: 'Max' },
  Minimum: { op: 'Min' },
  Multiply: { op: 'Mul', identity: 1 },
  Pow: { op: 'Pow' },
  RealDiv: { op: 'Div' },
  Sub: { op: 'Sub' },
  Equal: { op: 'Equal', bool: true },
  Greater: { op: 'Greater', bool: true },
  GreaterEqual: { op: 'GreaterOrEqual', bool: true },
  Less: { op: 'Less', bool: true },
  LessEqual: { op: 'LessOrEqual', bool: true },
  LogicalAnd: { op: 'And', bool: true },
  LogicalOr: { op: 'Or', bool: true },
};

/** Kernels whose result is bool whatever they are given. */
const predicates: ReadonlySet<string> = new Set(['IsInf', 'IsNan', 'LogicalNot']);

/** One operator applied to what is stored of `x`; the result broadcasts as `x` did. */
function unary(builder: GraphBuilder, op: string, x: Operand, dtype = x.dtype): Operand {
  return { shape: x.shape, dtype, value: builder.graph.node(op, [x.value]), valueShape: x.valueShape };
}

/** One broadcasting operator applied to what is stored of `a` and `b`. */
function binary(builder: GraphBuilder, op: string, [a, b]: readonly [Operand, Operand], dtype = a.dtype): Operand {
  return {
    shape: broadcastShape(a.shape, b.shape),
    dtype,
    value: builder.graph.node(op, [a.value, b.value]),
    valueShape: broadcastShape(a.valueShape, b.valueShape),
  };
}

/** `operand` seen as a tensor of a shape that it broadcasts to. */
const broadcastTo = (operand: Operand, shape: readonly number[]): Operand =>
  sameShape(operand.shape, shape) ? operand : { ...operand, shape };

const like = (builder: GraphBuilder, x: Operand, value: number): Operand =>
  builder.uniform(value, { shape: [], dtype: x.dtype });

const unaryRule =
  (kernel: UnaryKernel): Rule<UnaryKernel> =>
  ({ x }, _, builder) =>
    unary(builder, unaryOperators[kernel], x, predicates.has(kernel) ? 'bool' : x.dtype);

function binaryRule(kernel: BinaryKernel): Rule<BinaryKernel> {
  const { op, bool, identity } = binaryOperators[kernel];
  return ({ a, b }, _, builder) => {
    const shape = broadcastShape(a.shape, b.shape);
    if (identity !== undefined && b.uniform === identity) return broadcastTo(a, shape);
    if (identity !== undefined && a.uniform === identity) return broadcastTo(b, shape);
    return binary(builder, op, [a, b], bool ? 'bool' : a.dtype);
  };
}

const table = <K extends string, R>(kernels: Record<K, unknown>, rule: (kernel: K) => R): Record<K, R> =>
  Object.fromEntries((Object.keys(kernels) as K[]).map((kernel) => [kernel, rule(kernel)])) as Record<K, R>;

type Composed =
  | 'AddN' | 'ClipByValue' | 'Expm1' | 'FloorDiv' | 'IsFinite' | 'Log1p' | 'NotEqual' | 'Rsqrt' | 'Select' | 'Square'
  | 'SquaredDifference' | 'Step'; // prettier-ignore

export const elementwiseRules: Rules<UnaryKernel | BinaryKernel | Composed> = {
  ...table(unaryOperators, unaryRule),
  ...table(binaryOperators, binaryRule),

  AddN: (terms, _, builder) => terms.reduce((sum, term) => binary(builder, 'Add', [sum, term])),
  ClipByValue: ({ x }, { clipValueMin, clipValueMax }, builder) =>
    binary(builder, 'Min', [
      binary(builder, 'Max', [x, like(builder, x, clipValueMin)]),
      like(builder, x, clipValueMax),
    ]),
  Expm1: ({ x }, _, builder) => binary(builder, 'Sub', [unary(builder, 'Exp', x), like(builder, x, 1)]),
  // ONNX divides integers towards zero; tfjs rounds down. Through floats, both agree where float32 is exact.
  FloorDiv: ({ a, b }, _, builder) => {
    const floats = [a, b].map((operand) => cast(builder, operand, 1)) as [Operand, Operand];
    return cast(builder, unary(builder, 'Floor', binary(builder, 'Div', floats)), 6);
  },
  IsFinite: ({ x }, _, builder) => {
    const difference = binary(builder, 'Sub', [x, x]);
    return binary(builder, 'Equal', [difference, difference], 'bool');
  },
  Log1p: ({ x }, _, builder) => unary(builder, 'Log', binary(builder, 'Add', [x, like(builder, x, 1)])),
  NotEqual: ({ a, b }, _, builder) => unary(builder, 'Not', binary(builder, 'Equal', [a, b], 'bool')),
  Rsqrt: ({ x }, _, builder) => unary(builder, 'Reciprocal', unary(builder, 'Sqrt', x)),
  Select: ({ condition, t, e }, _, builder) => ({
    shape: broadcastShape(broadcastShape(condition.shape, t.shape), e.shape),
    dtype: t.dtype,
    value: builder.graph.node('Where', [condition.value, t.value, e.value]),
    valueShape: broadcastShape(broadcastShape(condition.valueShape, t.valueShape), e.valueShape),
  }),
  Square: ({ x }, _, builder) => binary(builder, 'Mul', [x, x]),
  SquaredDifference: ({ a, b }, _, builder) => {
    const difference = binary(builder, 'Sub', [a, b]);
    return binary(builder, 'Mul', [difference, difference]);
  },
  Step: ({ x }, { alpha }, builder) => {
    const positive = binary(builder, 'Greater', [x, like(builder, x, 0)], 'bool');
    return {
      ...x,
      value: builder.graph.node('Where', [
        positive.value,
        like(builder, x, 1).value,
        like(builder, x, alpha ?? 0).value,
      ]),
      uniform: undefined,
    };
  },
};

function cast(builder: GraphBuilder, x: Operand, to: 1 | 6): Operand {
  return {
    ...x,
    uniform: undefined,
    dtype: to === 1 ? 'float32' : 'int32',
    value: builder.graph.node('Cast', [x.value], { attributes: { to } }),
  };
}
