import type { LinearRowsSpec, LogitsSpec, MatrixSpec } from '@pavlov/kernels';
import type { tf } from '../tf';
import type { GraphBuilder, Operand } from '../operand';
import type { QuantizedMatrix } from '../quantize';

interface Kernel<Inputs, Attributes = unknown> {
  readonly inputs: Inputs;
  readonly attributes: Attributes;
}

/** H and T. */
export interface SelfAttentionAttributes {
  readonly heads: number;
  readonly length: number;
}

type Unary = Kernel<{ x: Operand }>;
type Binary = Kernel<{ a: Operand; b: Operand }>;
type Reduction = Kernel<{ x: Operand }, { axis: number | number[]; keepDims: boolean }>;
type FromLogits<Inputs extends string> = Kernel<
  Record<Inputs | 'logits' | 'temperature', Operand>,
  Pick<LogitsSpec, 'excluded'>
>;
type Listed = Kernel<readonly Operand[], { axis: number }>;

// prettier-ignore
export type UnaryKernel =
  | 'Abs' | 'Ceil' | 'Cos' | 'Erf' | 'Exp' | 'Floor' | 'IsInf' | 'IsNan' | 'Log' | 'LogicalNot' | 'Neg' | 'Reciprocal' | 'Relu'
  | 'Round' | 'Sigmoid' | 'Sign' | 'Sin' | 'Softplus' | 'Sqrt' | 'Tanh';

// prettier-ignore
export type BinaryKernel =
  | 'Add' | 'Maximum' | 'Minimum' | 'Multiply' | 'Pow' | 'RealDiv' | 'Sub'
  | 'Equal' | 'Greater' | 'GreaterEqual' | 'Less' | 'LessEqual' | 'LogicalAnd' | 'LogicalOr';

/** Inputs and attributes of every kernel that can be traced, named as in tfjs; those of our own begin with `Pavlov`. */
export type Kernels = Record<UnaryKernel, Unary> &
  Record<BinaryKernel, Binary> & {
    AddN: Kernel<readonly Operand[]>;
    ClipByValue: Kernel<{ x: Operand }, tf.ClipByValueAttrs>;
    FloorDiv: Binary;
    IsFinite: Unary;
    NotEqual: Binary;
    Rsqrt: Unary;
    Square: Unary;
    SquaredDifference: Binary;
    Step: Kernel<{ x: Operand }, tf.StepAttrs>;
    Select: Kernel<{ condition: Operand; t: Operand; e: Operand }>;

    All: Reduction;
    Any: Reduction;
    ArgMax: Kernel<{ x: Operand }, tf.ArgMaxAttrs>;
    Cumsum: Kernel<{ x: Operand }, tf.CumsumAttrs>;
    Max: Kernel<{ x: Operand }, tf.MaxAttrs>;
    Mean: Reduction;
    Min: Reduction;
    Softmax: Kernel<{ logits: Operand }, tf.SoftmaxAttrs>;
    Sum: Reduction;

    BatchMatMul: Kernel<{ a: Operand; b: Operand }, tf.BatchMatMulAttrs>;

    Cast: Kernel<{ x: Operand }, tf.CastAttrs>;
    Concat: Listed;
    ExpandDims: Kernel<{ input: Operand }, tf.ExpandDimsAttrs>;
    Fill: Kernel<object, tf.FillAttrs>;
    Identity: Unary;
    OnesLike: Unary;
    Pack: Listed;
    PadV2: Kernel<{ x: Operand }, tf.PadV2Attrs>;
    Range: Kernel<object, tf.RangeAttrs>;
    Reshape: Kernel<{ x: Operand }, tf.ReshapeAttrs>;
    Slice: Kernel<{ x: Operand }, tf.SliceAttrs>;
    SplitV: Kernel<{ x: Operand }, tf.SplitVAttrs>;
    Tile: Kernel<{ x: Operand }, tf.TileAttrs>;
    Transpose: Kernel<{ x: Operand }, tf.TransposeAttrs>;
    Unpack: Kernel<{ value: Operand }, tf.UnpackAttrs>;
    ZerosLike: Unary;

    GatherV2: Kernel<{ x: Operand; indices: Operand }, tf.GatherV2Attrs>;
    OneHot: Kernel<{ indices: Operand }, tf.OneHotAttrs>;
    UnsortedSegmentSum: Kernel<{ x: Operand; segmentIds: Operand }, tf.UnsortedSegmentSumAttrs>;

    PavlovAfter: Kernel<{ x: Operand; other: Operand }>;
    PavlovAddAt: Kernel<{ x: Operand; indices: Operand; amounts: Operand }>;
    PavlovCachedAttention: Kernel<Record<'qkv' | 'pastK' | 'pastV' | 'lengths' | 'total', Operand>>;
    PavlovEntropy: FromLogits<never>;
    PavlovEntropyGradient: FromLogits<'value' | 'statistics' | 'dy'>;
    PavlovGelu: Unary;
    PavlovGeluGradient: Kernel<{ x: Operand; dy: Operand }>;
    PavlovLogSoftmax: Unary;
    PavlovLinear: Kernel<{ x: Operand; w: Operand; b: Operand }>;
    PavlovLinearColumns: Kernel<{ w: Operand; b: Operand; x: Operand }, { transposed: boolean }>;
    PavlovLinearInt8: Kernel<{ x: Operand; b: Operand }, { w: QuantizedMatrix }>;
    PavlovLayerNorm: Kernel<{ x: Operand; gamma: Operand; beta: Operand }, { epsilon: number }>;
    PavlovLayerNormGradient: Kernel<Record<'x' | 'dy' | 'gamma' | 'mean' | 'inverseDeviation', Operand>>;
    PavlovLinearGradient: Kernel<{ x: Operand; dy: Operand; added?: Operand }>;
    PavlovMatMul: Kernel<{ a: Operand; b: Operand }, tf.BatchMatMulAttrs & { alpha: number }>;
    PavlovFillCache: Kernel<Record<'qkv' | 'pastK' | 'pastV', Operand>, { time: number }>;
    PavlovLinearPanels: Kernel<
      { x: Operand; panels: Operand; b: Operand; residual?: Operand },
      Pick<LinearRowsSpec, 'outputs' | 'block' | 'activation'>
    >;
    PavlovPackMatrix: Kernel<{ w: Operand }, { order: MatrixOrder }>;
    PavlovSample: Kernel<{ logits: Operand; uniforms: Operand }>;
    PavlovStepAttention: Kernel<Record<'qkv' | 'pastK' | 'pastV' | 'lengths', Operand>>;
    PavlovSelfAttention: Kernel<{ qkv: Operand }, SelfAttentionAttributes>;
    PavlovSelfAttentionGradient: Kernel<Record<'qkv' | 'y' | 'statistics' | 'dy', Operand>, SelfAttentionAttributes>;
    PavlovTakeLast: Kernel<{ x: Operand; indices: Operand }>;
    PavlovTokenLogprobs: FromLogits<'targets'>;
    PavlovTokenLogprobsGradient: FromLogits<'targets' | 'statistics' | 'dy'>;
  };

type MatrixOrder = MatrixSpec['order'];

export type KernelName = keyof Kernels;

/** How one kernel becomes ONNX nodes. Shapes are inferred here, so that tfjs sees the shape it expects. */
export type Rule<K extends KernelName> = (
  inputs: Kernels[K]['inputs'],
  attributes: Kernels[K]['attributes'],
  builder: GraphBuilder,
) => Operand | Operand[];

export type Rules<K extends KernelName> = { readonly [Name in K]: Rule<Name> };
