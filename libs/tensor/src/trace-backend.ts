import { type VectorExtension } from '@pavlov/kernels';
import { tf } from './tf';
import { GraphBuilder, type Operand, type OperandSpec } from './operand';
import type { Source } from './compile';
import type { Model } from './onnx-encode';
import type { Precision } from './precision';
import type { KernelName } from './rules/kernels';
import { rules } from './rules/table';
import { outputSpec, type Signature, type TensorSpec } from './signature';

type DataId = tf.DataId;

export interface Trace {
  readonly model: Model;
  readonly outputs: Signature;
}

const backendName = 'pavlov-trace';

/** Names of inputs and outputs in the graph, kept apart from the names of the values between them. */
export const inputName = (name: string): string => `in:${name}`;
export const outputName = (name: string): string => `out:${name}`;

interface Recorded {
  readonly operand: Operand;
  /** What made the tensor, for error messages. */
  readonly origin: string;
  readonly builder: GraphBuilder;
}

interface Known extends OperandSpec {
  readonly values: tf.BackendValues;
}

/** A tfjs backend whose kernels add nodes to a graph instead of computing. */
class TraceBackend extends tf.KernelBackend {
  builder: GraphBuilder | undefined;
  private readonly recorded = new WeakMap<DataId, Recorded>();
  private readonly known = new WeakMap<DataId, Known>();

  /** tfjs hands over a tensor made from numbers: a constant of the graph, should a kernel ask for it. */
  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): DataId {
    const id = {};
    this.known.set(id, { values, shape, dtype });
    return id;
  }

  record(operand: Operand, origin: string): tf.TensorInfo {
    const dataId = {};
    this.recorded.set(dataId, { operand, origin, builder: this.current() });
    return { dataId, shape: [...operand.shape], dtype: operand.dtype };
  }

  operand(tensor: tf.TensorInfo): Operand {
    const builder = this.current();
    const recorded = this.recorded.get(tensor.dataId);
    if (recorded) {
      if (recorded.builder !== builder)
        throw new Error(`A tensor made by ${recorded.origin} was kept from an earlier compile()`);
      return recorded.operand;
    }
    const { shape, dtype } = tensor;
    const known = this.known.get(tensor.dataId);
    const operand = builder.constant((known?.values ?? this.readElsewhere(tensor)) as tf.TypedArray, { shape, dtype });
    this.recorded.set(tensor.dataId, { operand, origin: 'a constant', builder });
    return operand;
  }

  override readSync(dataId: DataId): tf.BackendValues {
    const known = this.known.get(dataId);
    if (known) return known.values;
    const origin = this.recorded.get(dataId)?.origin ?? 'an unknown tensor';
    throw new Error(
      `The result of ${origin} was read inside compile(), where tensors have no values yet. ` +
        'Return it as an output instead, or compute with tensor ops.',
    );
  }

  override read(dataId: DataId): Promise<tf.BackendValues> {
    return Promise.resolve(this.readSync(dataId));
  }

  override disposeData(): boolean {
    return true;
  }

  override incRef(): void {}

  override refCount(): number {
    return 1;
  }

  override numDataIds(): number {
    return 0;
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override dispose(): void {}

  private current(): GraphBuilder {
    if (!this.builder) throw new Error('No function is being compiled');
    return this.builder;
  }

  /** A tensor of another backend that the traced function has captured: its values become a constant. */
  private readElsewhere({ dataId }: tf.TensorInfo): tf.BackendValues {
    const owner = tf.engine().state.tensorInfo.get(dataId)?.backend;
    if (!owner) throw new Error('A tensor that was disposed is used inside compile()');
    return owner.readSync(dataId);
  }
}

let backend: TraceBackend | undefined;

/** Registers the backend and its kernels with tfjs, once for each process. */
function traceBackend(): TraceBackend {
  if (backend) return backend;
  const created = new TraceBackend();
  tf.registerBackend(backendName, () => created, 0);
  for (const kernelName of Object.keys(rules) as KernelName[]) {
    const kernelFunc: tf.KernelFunc = ({ inputs, attrs }) => {
      const operands = Array.isArray(inputs)
        ? inputs.map((input: tf.TensorInfo) => created.operand(input))
        : Object.fromEntries(
            Object.entries(inputs).map(([name, input]) => [name, created.operand(input as tf.TensorInfo)]),
          );
      const results = (rules[kernelName] as (...args: unknown[]) => Operand | Operand[])(
        operands,
        attrs ?? {},
        created.builder,
      );
      return Array.isArray(results)
        ? results.map((result) => created.record(result, kernelName))
        : created.record(results, kernelName);
    };
    tf.registerKernel({ kernelName, backendName, kernelFunc });
  }
  backend = created;
  return created;
}

/** Whether a function is being traced now; fused primitives use their own kernels only then. */
export const isTracing = (): boolean => tf.engine().backendName === backendName;

/** What kernels of our own are assembled for, while a function is being traced for a machine that runs them. */
export const kernelExtension = (): VectorExtension | undefined =>
  isTracing() ? backend?.builder?.extension : undefined;

/** What matrix products read in the graph that is being traced. */
export const tracedPrecision = (): Precision | undefined => (isTracing() ? backend?.builder?.precision : undefined);

export const hasKernels = (): boolean => kernelExtension() !== undefined;

/** Runs one of our own kernels; only while tracing. */
export function runTraced(
  kernel: string,
  inputs: tf.NamedTensorMap,
  attributes: Record<string, unknown> = {},
): tf.Tensor[] {
  const result = tf.engine().runKernel(kernel, inputs, attributes as tf.NamedAttrMap) as tf.Tensor | tf.Tensor[];
  return Array.isArray(result) ? result : [result];
}

/** What will run the graph. */
export interface TraceTarget {
  /** Of kernels of our own; undefined where there are none. */
  readonly extension: VectorExtension | undefined;
  readonly threads: number;
  /** What matrix products read. */
  readonly precision: Precision;
}

/**
 * Runs `fn` once, recording what it computes. Throws where `fn` reads the value of a tensor, uses an op that has no rule,
 * or returns something other than float32 and int32 tensors. Kernels of our own are used where there is an extension for them.
 */
export function trace(source: Source, { extension, threads, precision }: TraceTarget): Trace {
  const tracer = traceBackend();
  if (tracer.builder) throw new Error('compile() was called inside a function that is being compiled');
  const previous = tf.engine().backendName;
  const builder = new GraphBuilder(extension, threads, precision);
  tracer.builder = builder;
  try {
    void tf.setBackend(backendName);
    let result: Trace | undefined;
    tf.tidy(() => {
      result = record(source, tracer, builder);
    });
    return result!;
  } catch (error) {
    throw explain(error, source.name);
  } finally {
    tracer.builder = undefined;
    if (previous) void tf.setBackend(previous);
  }
}

function record({ name, fn, inputs, constants }: Source, tracer: TraceBackend, builder: GraphBuilder): Trace {
  const tensors: Record<string, tf.Tensor> = {};
  const add = (input: string, operand: Operand): void => {
    tensors[input] = tf.engine().makeTensorFromTensorInfo(tracer.record(operand, `input "${input}"`));
  };
  for (const [input, spec] of Object.entries(inputs)) add(input, builder.stored(inputName(input), spec));
  for (const [input, { spec, values }] of Object.entries(constants)) add(input, builder.constant(values, spec));
  const results = fn(tensors);
  const outputs: Record<string, TensorSpec> = {};
  for (const [output, tensor] of Object.entries(results)) {
    outputs[output] = outputSpec(output, tensor);
    builder.graph.alias(builder.full(tracer.operand(tensor)), outputName(output));
  }
  if (Object.keys(inputs).length === 0 || Object.keys(outputs).length === 0) {
    throw new TypeError('A compiled function needs at least one input and one output');
  }
  const infos = (specs: Signature, label: (n: string) => string) =>
    Object.entries(specs).map(([n, { shape, dtype }]) => ({ name: label(n), shape, type: dtype }));
  return {
    model: builder.graph.finish({ name, inputs: infos(inputs, inputName), outputs: infos(outputs, outputName) }),
    outputs,
  };
}

/** Says which function failed to compile, and of a missing rule what to do. */
function explain(error: unknown, name: string): Error {
  const message = error instanceof Error ? error.message : String(error);
  const kernel = /Kernel '(\w+)' not registered/.exec(message)?.[1];
  const advice = kernel ? `The op ${kernel} has no rule; the README of libs/tensor says how to add one.` : message;
  return new Error(`compile("${name}"): ${advice}`, { cause: error });
}
