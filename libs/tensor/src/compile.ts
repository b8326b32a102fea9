import type { tf } from './tf';
import type { Session } from './session';
import {
  allocate,
  type Buffers,
  checkBuffer,
  checkNames,
  describeSpec,
  type Signature,
  type TypedArray,
} from './signature';

/** What `compile` takes: ordinary TensorFlow.js code, from named tensors to named tensors. */
export type TensorFunction = (inputs: Record<string, tf.Tensor>) => Record<string, tf.Tensor>;

export interface CompileOptions {
  /** For error messages. */
  readonly name?: string;
  /** Output → input whose buffer it overwrites (KV caches). Shapes and types must agree. */
  readonly inPlace?: Readonly<Record<string, string>>;
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
  /** Releases native memory; while a run is in flight, as soon as it ends. */
  dispose(): void;
}

export interface Description {
  readonly name: string;
  readonly inputs: Signature;
  readonly outputs: Signature;
  readonly inPlace: Readonly<Record<string, string>>;
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

/** A session behind named, checked arrays. */
export function compiledFunction(description: Description, session: Session): CompiledFunction {
  const { name, inputs, outputs, inPlace } = description;
  const owned = new Map<string, TypedArray>();
  let state: 'ready' | 'running' | 'disposed' = 'ready';
  let disposeAfterRun = false;

  const ownBuffer = (output: string): TypedArray => {
    const buffer = owned.get(output) ?? allocate(outputs[output]);
    owned.set(output, buffer);
    return buffer;
  };

  const begin = (feeds: Buffers, into: Buffers): Record<string, TypedArray> => {
    if (state === 'disposed' || disposeAfterRun) throw new Error(`"${name}" was disposed`);
    if (state === 'running') throw new Error(`"${name}" is running; await that run before the next one`);
    checkNames(`"${name}": input`, inputs, feeds);
    checkNames(`"${name}": output`, outputs, into);
    for (const [input, spec] of Object.entries(inputs)) checkBuffer(`"${name}": input "${input}"`, spec, feeds[input]);
    const results: Record<string, TypedArray> = {};
    for (const [output, spec] of Object.entries(outputs)) {
      const place = inPlace[output];
      results[output] = into[output] ?? (place === undefined ? ownBuffer(output) : feeds[place]);
      checkBuffer(`"${name}": output "${output}"`, spec, results[output]);
    }
    state = 'running';
    return results;
  };

  const arrays = (feeds: Buffers, results: Buffers) => ({
    inputs: Object.keys(inputs).map((input) => feeds[input]),
    outputs: Object.values(results),
  });

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

  return {
    outputs,
    dispose,
    async run(feeds, into = {}) {
      const results = begin(feeds, into);
      try {
        await session.run(arrays(feeds, results));
      } finally {
        end();
      }
      return results;
    },
    runSync(feeds, into = {}) {
      const results = begin(feeds, into);
      try {
        session.runSync(arrays(feeds, results));
      } finally {
        end();
      }
      return results;
    },
  };
}
