import { availableParallelism } from 'node:os';
import { type CompiledFunction, type CompileOptions, compileToOnnx, type TensorFunction } from './compile';
import { loadCApiBinding } from './ort-c-api';
import type { Signature } from './signature';

export type BackendName = 'onnxruntime' | 'tensorflow' | 'wasm' | 'cpu';

export interface EngineOptions {
  readonly backend?: BackendName;
  /** Threads for one run; by default as many as the machine offers. Results do not depend on it. */
  readonly threads?: number;
}

export interface Engine {
  readonly backend: BackendName;
  readonly threads: number;
  /** Makes `fn` runnable for tensors of exactly the shapes in `signature`. */
  compile(fn: TensorFunction, signature: Signature, options?: CompileOptions): Promise<CompiledFunction>;
  /** Releases every function that this engine compiled. */
  dispose(): void;
}

/** An engine on the given backend; ONNX Runtime unless told otherwise. */
export async function createEngine({
  backend = 'onnxruntime',
  threads = availableParallelism(),
}: EngineOptions = {}): Promise<Engine> {
  if (!Number.isInteger(threads) || threads < 1)
    throw new RangeError(`threads must be a positive integer, got ${threads}`);
  const binding = loadCApiBinding();
  const compiled: CompiledFunction[] = [];
  return {
    backend,
    threads,
    async compile(fn, signature, options) {
      const result = await compileToOnnx({ binding, threads }, { fn, signature }, options);
      compiled.push(result);
      return result;
    },
    dispose() {
      for (const fn of compiled.splice(0)) fn.dispose();
    },
  };
}
