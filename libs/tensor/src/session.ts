import { type Kernel } from '@pavlov/kernels';
import type { TensorSpec, TypedArray } from './signature';

export interface NamedSpec extends TensorSpec {
  readonly name: string;
}

export interface SessionOptions {
  readonly model: Uint8Array;
  /** Kernels of our own in the model, by the name of their operators. */
  readonly kernels: Readonly<Record<string, Kernel>>;
  /** Inputs and outputs in the order in which `run` takes their arrays. */
  readonly inputs: readonly NamedSpec[];
  readonly outputs: readonly NamedSpec[];
  readonly threads: number;
  /** Path that the file of a profile begins with; without one there is no profile. */
  readonly profile?: string;
}

export interface RunArrays {
  readonly inputs: readonly TypedArray[];
  /** Written by the run. One may be an input too, where the operator allows it (KV caches). */
  readonly outputs: readonly TypedArray[];
}

/** A loaded ONNX graph. Arrays are checked by the caller; one run at a time. */
export interface Session {
  /** Computes on another thread. */
  run(arrays: RunArrays): Promise<void>;
  /** Computes on this thread, which saves a few tens of microseconds and blocks the event loop meanwhile. */
  runSync(arrays: RunArrays): void;
  dispose(): void;
}

/** A way to reach ONNX Runtime. */
export interface Binding {
  readonly name: 'c-api' | 'node';
  createSession(options: SessionOptions): Promise<Session>;
}
