import type { tf } from './tf';
import type { RunArrays, Session } from './session';
import {
  allocate,
  type Buffers,
  checkNames,
  type Constants,
  describeSpec,
  fits,
  misfit,
  type Signature,
  sizeOf,
  type TensorSpec,
  type TypedArray,
} from './signature';

/** What `compile` takes: ordinary TensorFlow.js code, from named tensors to named tensors. */
export type TensorFunction = (inputs: Record<string, tf.Tensor>) => Record<string, tf.Tensor>;

export interface CompileOptions {
  /** For error messages. */
  readonly name?: string;
  /** Output → input whose buffer it overwrites (KV caches). Shapes and types must agree. */
  readonly inPlace?: Readonly<Record<string, string>>;
  /**
   * Values of inputs that never change, such as the weights of a served model. They are copied into the function and are not fed.
   * Without kernels of our own, ONNX Runtime can then lay matrices out once: products with few rows run 1.5 to 3 times as fast,
   * and compiling takes longer.
   */
  readonly constants?: Buffers;
}

/** A function ready to run. One run at a time: its output buffers are reused. */
export interface CompiledFunction {
  readonly outputs: Signature;
  /**
   * Feeds by name, as typed arrays of the exact size. Outputs are written to `into[name]` where given, else to buffers that
   * the function owns and reuses: they are valid until the next run. Arrays must not be touched before the promise settles.
   */
  run(feeds: Buffers, into?: Buffers): Promise<Record<string, TypedArray>>;
  /** The same on the calling thread: for calls so short that handing them to another thread would cost a good part. */
  runSync(feeds: Buffers, into?: Buffers): Record<string, TypedArray>;
  /** The same arrays for many runs: they are checked once. */
  bind(feeds: Buffers, into?: Buffers): BoundFunction;
  /** Releases native memory; while a run is in flight, as soon as it ends. */
  dispose(): void;
}

/** A compiled function and the arrays that it reads and writes. */
export interface BoundFunction {
  readonly results: Readonly<Record<string, TypedArray>>;
  run(): Promise<void>;
  runSync(): void;
}

/** A function to compile, its options resolved. */
export interface Source {
  readonly name: string;
  readonly fn: TensorFunction;
  /** What is fed. */
  readonly inputs: Signature;
  /** What is not, because the values are known. */
  readonly constants: Constants;
  readonly inPlace: Readonly<Record<string, string>>;
}

type Description = Omit<Source, 'fn' | 'constants'> & { readonly outputs: Signature };

/** Parts the signature into what is fed and what is constant. */
export function resolveSource(fn: TensorFunction, signature: Signature, options: CompileOptions): Source {
  const { name = fn.name || 'anonymous', inPlace = {}, constants = {} } = options;
  checkNames(`"${name}": constant`, signature, constants);
  const known: [string, Constants[string]][] = [];
  const fed: [string, TensorSpec][] = [];
  for (const [input, spec] of Object.entries(signature)) {
    const values = constants[input];
    if (values) {
      if (!fits(spec, sizeOf(spec.shape), values)) throw misfit(`"${name}": constant "${input}"`, spec, values);
      known.push([input, { spec, values }]);
    } else {
      fed.push([input, spec]);
    }
  }
  return { name, fn, inPlace, inputs: Object.fromEntries(fed), constants: Object.fromEntries(known) };
}

/** Throws unless every in-place output names an input of the same shape and type. */
export function checkInPlace({ inputs, outputs, inPlace }: Description): void {
  for (const [output, input] of Object.entries(inPlace)) {
    const [from, to] = [inputs[input], outputs[output]];
    if (!from || !to) throw new TypeError(`inPlace: there is no ${from ? `output "${output}"` : `input "${input}"`}`);
    if (describeSpec(from) !== describeSpec(to)) {
      throw new TypeError(
        `inPlace: output "${output}" is ${describeSpec(to)}, but input "${input}" is ${describeSpec(from)}`,
      );
    }
  }
}

interface Port {
  readonly name: string;
  readonly spec: TensorSpec;
  readonly size: number;
}

const ports = (signature: Signature): Port[] =>
  Object.entries(signature).map(([name, spec]) => ({ name, spec, size: sizeOf(spec.shape) }));

/** A session behind named, checked arrays. */
export function compiledFunction(description: Description, session: Session): CompiledFunction {
  const { name, inputs, outputs, inPlace } = description;
  const [inputPorts, outputPorts] = [ports(inputs), ports(outputs)];
  const owned = new Map<string, TypedArray>();
  let state: 'ready' | 'running' | 'disposed' = 'ready';
  let disposeAfterRun = false;

  const ownBuffer = (output: string): TypedArray => {
    const buffer = owned.get(output) ?? allocate(outputs[output]);
    owned.set(output, buffer);
    return buffer;
  };

  const begin = (): void => {
    if (state === 'disposed' || disposeAfterRun) throw new Error(`"${name}" was disposed`);
    if (state === 'running') throw new Error(`"${name}" is running; await that run before the next one`);
    state = 'running';
  };

  const check = (feeds: Buffers, into: Buffers): RunArrays => {
    checkNames(`"${name}": input`, inputs, feeds);
    checkNames(`"${name}": output`, outputs, into);
    const fed = inputPorts.map((port) => {
      const array = feeds[port.name];
      if (!fits(port.spec, port.size, array)) throw misfit(`"${name}": input "${port.name}"`, port.spec, array);
      return array;
    });
    const targets = outputPorts.map((port) => {
      const place = inPlace[port.name];
      const array = into[port.name] ?? (place === undefined ? ownBuffer(port.name) : feeds[place]);
      if (!fits(port.spec, port.size, array)) throw misfit(`"${name}": output "${port.name}"`, port.spec, array);
      return array;
    });
    return { inputs: fed, outputs: targets };
  };

  const named = (arrays: RunArrays): Record<string, TypedArray> =>
    Object.fromEntries(outputPorts.map((port, i) => [port.name, arrays.outputs[i]]));

  const dispose = (): void => {
    if (state === 'running') disposeAfterRun = true;
    if (state !== 'ready') return;
    state = 'disposed';
    session.dispose();
  };

  const end = (): void => {
    state = 'ready';
    if (disposeAfterRun) dispose();
  };

  const bind = (feeds: Buffers, into: Buffers = {}): BoundFunction => {
    const arrays = check(feeds, into);
    return {
      results: named(arrays),
      async run() {
        begin();
        try {
          await session.run(arrays);
        } finally {
          end();
        }
      },
      runSync() {
        begin();
        try {
          session.runSync(arrays);
        } finally {
          end();
        }
      },
    };
  };
  return {
    outputs,
    dispose,
    bind,
    async run(feeds, into) {
      const bound = bind(feeds, into);
      await bound.run();
      return bound.results;
    },
    runSync(feeds, into) {
      const bound = bind(feeds, into);
      bound.runSync();
      return bound.results;
    },
  };
}
