import { type VectorExtension, vectorExtensions } from '@pavlov/kernels';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import {
  checkInPlace,
  type CompiledFunction,
  compiledFunction,
  type CompileOptions,
  resolveSource,
  type Source,
  type TensorFunction,
} from './compile';
import { type EagerBackend, eagerOutputs, eagerSession, loadEagerBackend } from './eager';
import { encodeModel } from './onnx-encode';
import { loadNodeBinding } from './ort-node-binding';
import { choosePrecision, type Precision } from './precision';
import type { Binding } from './session';
import type { Signature } from './signature';
import { inputName, outputName, trace, type TraceTarget } from './trace-backend';

export type BackendName = 'onnxruntime' | EagerBackend;

export interface EngineOptions {
  readonly backend?: BackendName;
  /**
   * Threads for one run on ONNX Runtime; by default as many as the machine offers, up to 16. Results do not depend on it where
   * matrices have at least twice as many rows.
   */
  readonly threads?: number;
  /** How ONNX Runtime is reached: by default its C API, or the package's own binding where that cannot be loaded. */
  readonly binding?: Binding['name'];
  /**
   * What kernels of our own are assembled for, on ONNX Runtime: by default the best that the machine has. 'none' leaves all to
   * ONNX Runtime's operators, as where there is no such kernel, or the C API cannot be reached.
   */
  readonly kernels?: VectorExtension | 'none';
  /**
   * What matrix products read; 'float32' by default. 'bfloat16' takes kernels for AVX-512 and a processor with AVX512_BF16;
   * weights, gradients and all that is no product stay float32.
   */
  readonly precision?: Precision;
  /**
   * A folder for ONNX Runtime's own profile of each function, `<name>_<time>.json` in Chrome's trace format, written when the
   * function is disposed of. None by default: profiling slows short operators down.
   */
  readonly profileFolder?: string;
}

/** To be declared with `using`: then whatever it compiled is released at the end of the block, be it by an error. */
export interface Engine extends Disposable {
  readonly backend: BackendName;
  readonly threads: number;
  /** How ONNX Runtime is reached; undefined on other backends. 'node' works, but copies outputs and blocks the event loop. */
  readonly binding: Binding['name'] | undefined;
  /** What kernels of our own are assembled for; undefined where there are none. */
  readonly kernels: VectorExtension | undefined;
  readonly precision: Precision;
  /** Makes `fn` runnable for tensors of exactly the shapes in `signature`. */
  compile(fn: TensorFunction, signature: Signature, options?: CompileOptions): Promise<CompiledFunction>;
  /** Releases every function that this engine compiled, and compiles no more. */
  dispose(): void;
}

/** More would split narrow models into single rows, which ONNX Runtime computes in another order than several. */
const mostThreads = 16;

const defaultThreads = (): number => Math.min(availableParallelism(), mostThreads);

type Compiler = (source: Source) => Promise<CompiledFunction>;

/**
 * An engine on the given backend; ONNX Runtime unless told otherwise.
 *
 * @throws RangeError for a number of threads that is none
 * @throws PrecisionUnavailableError for a precision that cannot be had with the other options, or on this machine
 */
export async function createEngine(options: EngineOptions = {}): Promise<Engine> {
  const { backend = 'onnxruntime', threads = defaultThreads() } = options;
  if (!Number.isInteger(threads) || threads < 1)
    throw new RangeError(`threads must be a positive integer, got ${threads}`);
  const binding = backend === 'onnxruntime' ? await loadBinding(options.binding) : undefined;
  const kernels = binding?.name === 'c-api' ? chooseExtension(options.kernels) : undefined;
  const precision = choosePrecision(options, { backend, binding: binding?.name, kernels });
  const compiler =
    backend === 'onnxruntime'
      ? onnxCompiler(binding!, { extension: kernels, threads, precision }, options.profileFolder)
      : await eagerCompiler(backend);
  const compiled = new Set<CompiledFunction>();
  let disposed = false;
  const dispose = (): void => {
    disposed = true;
    for (const fn of compiled) fn.dispose();
    compiled.clear();
  };
  return {
    backend,
    threads,
    binding: binding?.name,
    kernels,
    precision,
    async compile(fn, signature, options = {}) {
      const source = resolveSource(fn, signature, options);
      const result = await compiler(source);
      compiled.add(result);
      if (disposed) {
        dispose(); // It may have been disposed while this one was being compiled.
        throw new Error(`"${source.name}" cannot be compiled: the engine was disposed`);
      }
      return {
        ...result,
        dispose() {
          result.dispose();
          compiled.delete(result);
        },
      };
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

/** Traces the function and loads the recorded graph into ONNX Runtime. */
function onnxCompiler(binding: Binding, target: TraceTarget, profileFolder: string | undefined): Compiler {
  return async (source) => {
    const { model, outputs } = trace(source, target);
    const description = { ...source, outputs };
    checkInPlace(description);
    const session = await binding.createSession({
      model: encodeModel(model),
      kernels: Object.fromEntries(model.nodes.flatMap(({ op, kernel }) => (kernel ? [[op, kernel]] : []))),
      inputs: Object.entries(source.inputs).map(([input, spec]) => ({ ...spec, name: inputName(input) })),
      outputs: Object.entries(outputs).map(([output, spec]) => ({ ...spec, name: outputName(output) })),
      threads: target.threads,
      profile: profileFolder && join(profileFolder, source.name),
    });
    return compiledFunction(description, session);
  };
}

/** Throws for an extension that the machine does not have. */
function chooseExtension(wanted: EngineOptions['kernels']): VectorExtension | undefined {
  const available = vectorExtensions();
  if (wanted === undefined) return available[0];
  if (wanted === 'none') return undefined;
  if (!available.includes(wanted)) throw new Error(`This machine cannot run kernels for ${wanted}`);
  return wanted;
}

async function eagerCompiler(backend: EagerBackend): Promise<Compiler> {
  await loadEagerBackend(backend);
  return (source) => {
    const eager = { ...source, backend };
    const description = { ...source, outputs: eagerOutputs(eager) };
    checkInPlace(description);
    return Promise.resolve(compiledFunction(description, eagerSession(eager, description.outputs)));
  };
}

async function loadBinding(wanted: Binding['name'] | undefined): Promise<Binding> {
  if (wanted === 'node') return loadNodeBinding();
  try {
    // Imported only here, because importing koffi throws where it has no build for the machine.
    const { loadCApiBinding } = await import('./ort-c-api');
    return loadCApiBinding();
  } catch (error) {
    if (wanted === 'c-api') throw error;
    return loadNodeBinding();
  }
}
