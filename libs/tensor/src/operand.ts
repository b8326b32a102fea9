import { type Kernel, type VectorExtension } from '@pavlov/kernels';
import { tf } from './tf';
import { Graph, type NodeOptions } from './graph';
import { type ElementType, elementTypes } from './onnx-encode';
import type { Precision } from './precision';
import { sizeOf } from './signature';

/**
 * A tensor while tracing. `value` names what the graph holds: a tensor of `valueShape` that broadcasts to `shape`. The two
 * shapes differ after, say, the gradient of a sum, whose copies of one number need never be made: elementwise operators
 * broadcast by themselves, and everything else asks `GraphBuilder.full` for the whole tensor.
 */
export interface Operand {
  readonly shape: readonly number[];
  readonly dtype: tf.DataType;
  readonly value: string;
  readonly valueShape: readonly number[];
  /** The number that the tensor holds everywhere, where it is known while tracing. */
  readonly uniform?: number;
  /** The sums of its columns, where the kernel that makes it leaves them behind, [C]. */
  columnSums?(): Operand;
  /** This and a tensor of the same shape, by the kernel that makes this one; undefined where it has been made. */
  plus?(other: Operand): Operand | undefined;
  /** Of a sum: who needs it may make it. */
  readonly sum?: { readonly terms: readonly [Operand, Operand]; made?: Operand };
}

export interface OperandSpec {
  readonly shape: readonly number[];
  readonly dtype: tf.DataType;
}

/** A float32 operand that is made when it is first asked for: until then, one kernel may make it together with what it is for. */
export const deferred = (
  shape: readonly number[],
  make: () => Operand,
  more: Pick<Operand, 'columnSums' | 'plus' | 'sum'> = {},
): Operand => ({
  shape,
  dtype: 'float32',
  valueShape: shape,
  get value() {
    return make().value;
  },
  ...more,
});

export const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((size, axis) => size === b[axis]);

export const broadcastShape = (a: readonly number[], b: readonly number[]): number[] =>
  tf.backend_util.assertAndGetBroadcastShape([...a], [...b]);

/** ONNX's name of a tfjs element type; throws for those that no graph can hold. */
export function elementType(dtype: tf.DataType): ElementType {
  if (dtype in elementTypes) return dtype as ElementType;
  throw new TypeError(`A compiled function cannot hold ${dtype} tensors; use float32, int32 or bool`);
}

interface ElementwiseOptions extends Pick<NodeOptions, 'attributes' | 'domain'> {
  /** Of the result; by default that of the first operand. */
  readonly dtype?: tf.DataType;
}

const arrayTypes = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;

/** What kernel rules build with: an ONNX graph in terms of operands. */
export class GraphBuilder {
  readonly graph = new Graph();
  /** What was reshaped, by the name of the result. */
  private readonly origins = new Map<string, Operand>();

  /**
   * @param extension What kernels of our own are assembled for; undefined where there are none, and ONNX's operators do all.
   * @param threads Threads that will compute the graph. What it computes does not depend on it.
   * @param precision What matrix products read; 'bfloat16' only with kernels for AVX-512.
   */
  constructor(
    readonly extension: VectorExtension | undefined,
    readonly threads: number,
    readonly precision: Precision,
  ) {}

  /** A node computed by a kernel of our own; gives all its outputs. */
  kernel(kernel: Kernel, inputs: readonly Operand[]): Operand[] {
    const names = this.graph.kernel(
      kernel,
      inputs.map((input) => this.full(input)),
    );
    return names.map((name, i) => this.stored(name, { shape: kernel.outputs[i].shape, dtype: kernel.outputs[i].type }));
  }

  /** An operand whose value is stored in full. */
  stored(value: string, spec: OperandSpec): Operand {
    return { ...spec, value, valueShape: spec.shape };
  }

  /** One node with one output of the given shape and element type; inputs are operands in full, or names. */
  node(op: string, inputs: readonly (Operand | string)[], spec: OperandSpec & NodeOptions): Operand {
    const { shape, dtype, ...options } = spec;
    const names = inputs.map((input) => (typeof input === 'string' ? input : this.full(input)));
    return this.stored(this.graph.node(op, names, options), { shape, dtype });
  }

  /** One operator that works element by element and broadcasts, on what is stored of its operands; so does the result. */
  elementwise(op: string, operands: readonly Operand[], options: ElementwiseOptions = {}): Operand {
    const { dtype = operands[0].dtype, ...nodeOptions } = options;
    const value = this.graph.node(
      op,
      operands.map((operand) => operand.value),
      nodeOptions,
    );
    const shape = operands.map((operand) => operand.shape).reduce(broadcastShape);
    return { shape, dtype, value, valueShape: operands.map((operand) => operand.valueShape).reduce(broadcastShape) };
  }

  /** The same elements in another shape; from what `x` was before, if that was another shape already. */
  reshape(x: Operand, shape: readonly number[]): Operand {
    const known = sameShape(x.shape, x.valueShape) ? this.origins.get(x.value) : undefined;
    const origin = known ?? x;
    if (sameShape(origin.shape, shape)) return origin;
    const reshaped = this.node('Reshape', [origin, this.graph.int64s(shape)], { shape, dtype: x.dtype });
    this.origins.set(reshaped.value, origin);
    return reshaped;
  }

  cast(x: Operand, dtype: tf.DataType): Operand {
    if (x.dtype === dtype) return x;
    if (x.uniform !== undefined && dtype === 'float32') return this.uniform(x.uniform, { shape: x.shape, dtype });
    return this.elementwise('Cast', [x], { dtype, attributes: { to: elementTypes[elementType(dtype)] } });
  }

  /** The name of a value of exactly the operand's shape. */
  full(operand: Operand): string {
    if (sameShape(operand.shape, operand.valueShape)) return operand.value;
    return this.graph.node('Expand', [operand.value, this.graph.int64s(operand.shape)]);
  }

  /** A tensor that holds `uniform` everywhere. */
  uniform(uniform: number, spec: OperandSpec): Operand {
    const bytes = new Uint8Array(arrayTypes[spec.dtype as keyof typeof arrayTypes].of(uniform).buffer);
    const value = this.graph.constant(bytes, { shape: [], type: elementType(spec.dtype) });
    return { ...spec, value, valueShape: [], uniform };
  }

  /** A tensor whose values are known while tracing. */
  constant(values: tf.TypedArray | readonly number[], spec: OperandSpec): Operand {
    const type = elementType(spec.dtype) as keyof typeof arrayTypes;
    const array = values instanceof arrayTypes[type] ? values : new arrayTypes[type](values);
    if (array.length > 0 && array.every((value) => value === array[0])) return this.uniform(array[0], spec);
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    return this.stored(this.graph.constant(bytes, { shape: spec.shape, type }), spec);
  }
}

/** For rules that have no other form than a kernel of our own: primitives ask `hasKernels` before they use them. */
export function extensionOf(builder: GraphBuilder): VectorExtension {
  if (!builder.extension) throw new Error('There are no kernels of our own on this machine');
  return builder.extension;
}

/** A tensor as rows of its last axis. */
export const matrixOf = ({ shape }: Operand): { rows: number; columns: number } => ({
  rows: sizeOf(shape.slice(0, -1)),
  columns: shape.at(-1)!,
});
