import type { tf } from './tf';
import { encodeModel } from './onnx-encode';
import type { Binding, RunArrays } from './session';
import {
  allocate,
  type Buffers,
  checkBuffer,
  checkNames,
  describeSpec,
  type Signature,
  type TypedArray,
} from './signature';
import { inputName, outputName, trace } from './trace-backend';

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
  /** The same on the calling thread: for calls of about a millisecond and less, which a thread switch would slow down. */
  runSync(feeds: Buffers, into?: Buffers): Record<string, TypedArray>;
  dispose(): void;
}

/** Throws unless every in-place output names an input of the same shape and type. */
export function checkInPlace(inPlace: Readonly<Record<string, string>>, inputs: Signature, outputs: Signature): void {
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

interface Placement {
  readonly inputs: Signature;
  readonly outputs: Signature;
  readonly inPlace: Readonly<Record<string, string>>;
}

/** Checks the arrays of a run and says where each output goes. Buffers of its own are made on first use. */
export function createPlacement({ inputs, outputs, inPlace }: Placement) {
  const owned = new Map<string, TypedArray>();
  const ownBuffer = (name: string): TypedArray => {
    const buffer = owned.get(name) ?? allocate(outputs[name]);
    owned.set(name, buffer);
    return buffer;
  };
  return (feeds: Buffers, into: Buffers): Record<string, TypedArray> => {
    checkNames('Input', inputs, feeds);
    checkNames('Output', outputs, into);
    for (const [name, spec] of Object.entries(inputs)) checkBuffer(`Input "${name}"`, spec, feeds[name]);
    return Object.fromEntries(
      Object.entries(outputs).map(([name, spec]) => {
        const target = into[name] ?? (inPlace[name] === undefined ? ownBuffer(name) : feeds[inPlace[name]]);
        checkBuffer(`Output "${name}"`, spec, target);
        return [name, target];
      }),
    );
  };
}

/** Traces `fn` and loads the recorded graph into ONNX Runtime. */
export async function compileToOnnx(
  { binding, threads }: { binding: Binding; threads: number },
  { fn, signature }: { fn: TensorFunction; signature: Signature },
  { name = fn.name || 'anonymous', inPlace = {} }: CompileOptions = {},
): Promise<CompiledFunction> {
  const { model, outputs } = trace(fn, signature, name);
  checkInPlace(inPlace, signature, outputs);
  const session = await binding.createSession({
    model: encodeModel(model),
    inputs: Object.entries(signature).map(([input, spec]) => ({ ...spec, name: inputName(input) })),
    outputs: Object.entries(outputs).map(([output, spec]) => ({ ...spec, name: outputName(output) })),
    threads,
  });
  const place = createPlacement({ inputs: signature, outputs, inPlace });
  const inputNames = Object.keys(signature);
  let state: 'ready' | 'running' | 'disposed' = 'ready';
  let disposeLater = false;

  const begin = (feeds: Buffers, into: Buffers): { arrays: RunArrays; results: Record<string, TypedArray> } => {
    if (state === 'disposed' || disposeLater) throw new Error(`"${name}" was disposed`);
    if (state === 'running') throw new Error(`"${name}" is running; await the run before the next one`);
    const results = place(feeds, into);
    state = 'running';
    return { arrays: { inputs: inputNames.map((input) => feeds[input]), outputs: Object.values(results) }, results };
  };
  const end = (): void => {
    state = 'ready';
    if (disposeLater) dispose();
  };
  const dispose = (): void => {
    if (state === 'running') disposeLater = true;
    if (state !== 'ready') return;
    state = 'disposed';
    session.dispose();
  };
  return {
    outputs,
    dispose,
    async run(feeds, into = {}) {
      const { arrays, results } = begin(feeds, into);
      try {
        await session.run(arrays);
      } finally {
        end();
      }
      return results;
    },
    runSync(feeds, into = {}) {
      const { arrays, results } = begin(feeds, into);
      try {
        session.runSync(arrays);
      } finally {
        end();
      }
      return results;
    },
  };
}
