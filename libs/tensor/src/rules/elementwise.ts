import { broadcastShape, deferred, type GraphBuilder, type Operand, sameShape } from '../operand';
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

/** `operand` seen as a tensor of a shape that it broadcasts to. */
const broadcastTo = (operand: Operand, shape: readonly number[]): Operand =>
  sameShape(operand.shape, shape) ? operand : { ...operand, shape };

/** A scalar of the element type of `x`. */
const scalar = (builder: GraphBuilder, x: Operand, value: number): Operand =>
  builder.uniform(value, { shape: [], dtype: x.dtype });

const unaryRule =
  (kernel: UnaryKernel): Rule<UnaryKernel> =>
  ({ x }, _, builder) =>
    builder.elementwise(unaryOperators[kernel], [x], { dtype: predicates.has(kernel) ? 'bool' : x.dtype });

function binaryRule(kernel: BinaryKernel): Rule<BinaryKernel> {
  const { op, bool, identity } = binaryOperators[kernel];
  return ({ a, b }, _, builder) => {
    const shape = broadcastShape(a.shape, b.shape);
    if (identity !== undefined && b.uniform === identity) return broadcastTo(a, shape);
    if (identity !== undefined && a.uniform === identity) return broadcastTo(b, shape);
    if (kernel === 'Add' && builder.extension && [a, b].every((x) => x.dtype === 'float32' && isWhole(x, shape)))
      return a.plus?.(b) ?? b.plus?.(a) ?? pendingSum(builder, [a, b]);
    return builder.elementwise(op, [a, b], { dtype: bool ? 'bool' : a.dtype });
  };
}

const isWhole = (x: Operand, shape: readonly number[]): boolean =>
  sameShape(x.shape, shape) && sameShape(x.valueShape, shape);

/** A sum that a kernel may make before it is asked for. */
function pendingSum(builder: GraphBuilder, terms: readonly [Operand, Operand]): Operand {
  const sum: Required<Operand>['sum'] = { terms };
  return deferred(terms[0].shape, () => (sum.made ??= builder.elementwise('Add', terms)), { sum });
}

const table = <K extends string, R>(kernels: Record<K, unknown>, rule: (kernel: K) => R): Record<K, R> =>
  Object.fromEntries((Object.keys(kernels) as K[]).map((kernel) => [kernel, rule(kernel)])) as Record<K, R>;

// prettier-ignore
type Composed =
  | 'AddN' | 'ClipByValue' | 'FloorDiv' | 'IsFinite' | 'NotEqual' | 'Rsqrt' | 'Select' | 'Square'
  | 'SquaredDifference' | 'Step';

export const elementwiseRules: Rules<UnaryKernel | BinaryKernel | Composed> = {
  ...table(unaryOperators, unaryRule),
  ...table(binaryOperators, binaryRule),

  AddN: (terms, _, builder) => terms.reduce((sum, term) => builder.elementwise('Add', [sum, term])),
  ClipByValue: ({ x }, { clipValueMin, clipValueMax }, builder) => {
    const raised = builder.elementwise('Max', [x, scalar(builder, x, clipValueMin)]);
    return builder.elementwise('Min', [raised, scalar(builder, x, clipValueMax)]);
  },
  // ONNX divides integers towards zero; tfjs rounds down. Through floats, both agree where float32 is exact.
  FloorDiv: ({ a, b }, _, builder) => {
    const quotient = builder.elementwise('Div', [builder.cast(a, 'float32'), builder.cast(b, 'float32')]);
    return builder.cast(builder.elementwise('Floor', [quotient]), 'int32');
  },
  // x − x is 0 for finite numbers and NaN for the others, and NaN equals nothing.
  IsFinite: ({ x }, _, builder) => {
    const difference = builder.elementwise('Sub', [x, x]);
    return builder.elementwise('Equal', [difference, difference], { dtype: 'bool' });
  },
  NotEqual: ({ a, b }, _, builder) =>
    builder.elementwise('Not', [builder.elementwise('Equal', [a, b], { dtype: 'bool' })]),
  Rsqrt: ({ x }, _, builder) => builder.elementwise('Reciprocal', [builder.elementwise('Sqrt', [x])]),
  Select: ({ condition, t, e }, _, builder) => builder.elementwise('Where', [condition, t, e], { dtype: t.dtype }),
  Square: ({ x }, _, builder) => builder.elementwise('Mul', [x, x]),
  SquaredDifference: ({ a, b }, _, builder) => {
    const difference = builder.elementwise('Sub', [a, b]);
    return builder.elementwise('Mul', [difference, difference]);
  },
  Step: ({ x }, { alpha }, builder) => {
    const positive = builder.elementwise('Greater', [x, scalar(builder, x, 0)], { dtype: 'bool' });
    return builder.elementwise('Where', [positive, scalar(builder, x, 1), scalar(builder, x, alpha ?? 0)], {
      dtype: x.dtype,
    });
  },
};
