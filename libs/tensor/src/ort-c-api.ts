/**
 * ONNX Runtime through its C API, called directly on the library that onnxruntime-node ships. That package's own binding
 * copies every output and blocks the event loop; this one does neither.
 *
 * The C API is an append-only table of function pointers, so a position never changes its meaning. Positions are those of
 * `struct OrtApi` in onnxruntime_c_api.h; onnxruntime_c_api.cc asserts some of them (101, 118, 124, 126, 149).
 */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { addressOf, loadLibrary } from '@pavlov/kernels';
import koffi, { type LibraryHandle } from 'koffi';
import { elementTypes, kernelDomain } from './onnx-encode';
import { createCustomOp, type KernelContextFunctions } from './ort-custom-ops';
import type { Binding, NamedSpec, RunArrays, Session, SessionOptions } from './session';
import type { TypedArray } from './signature';

/** Newest version of the table that we rely on. */
const apiVersion = 22;
const tableLength = 275;

const status = 'void *';
const pointer = 'void *';

/** Position, result and parameters of each function that we call. */
const functions = {
  getErrorMessage: [2, 'str', [pointer]],
  createEnv: [3, status, ['int', 'str', pointer]],
  createSessionFromArray: [8, status, [pointer, pointer, 'size_t', pointer, pointer]],
  run: [9, status, [pointer, pointer, pointer, pointer, 'size_t', pointer, 'size_t', pointer]],
  createSessionOptions: [10, status, [pointer]],
  enableProfiling: [14, status, [pointer, process.platform === 'win32' ? 'str16' : 'str']],
  disableMemoryPattern: [17, status, [pointer]],
  setGraphOptimizationLevel: [23, status, [pointer, 'int']],
  setIntraOpThreads: [24, status, [pointer, 'int']],
  createCustomOpDomain: [26, status, ['str', pointer]],
  addToCustomOpDomain: [27, status, [pointer, pointer]],
  addCustomOpDomain: [28, status, [pointer, pointer]],
  createTensorWithData: [49, status, [pointer, pointer, 'size_t', pointer, 'size_t', 'int', pointer]],
  createCpuMemoryInfo: [69, status, ['int', 'int', pointer]],
  releaseStatus: [93, 'void', [pointer]],
  releaseSession: [95, 'void', [pointer]],
  releaseValue: [96, 'void', [pointer]],
  releaseSessionOptions: [100, 'void', [pointer]],
  releaseCustomOpDomain: [101, 'void', [pointer]],
  addSessionConfigEntry: [130, status, [pointer, 'str', 'str']],
  createAndRegisterAllocator: [144, status, [pointer, pointer, pointer]],
} as const;

/** Position of each function that kernels of our own call. */
const contextFunctions = { getInput: 90, getOutput: 91, getData: 51, parallelFor: 274 } as const;

/**
 * Sessions take memory from one pool, the environment's. With pools of their own each would keep what it once took, and a stage has a
 * graph for each shape of its batches, of which one runs at a time.
 *
 * Threads wait for work awake for as long as a small operator takes, then sleep. Waking a thread costs about as much, some
 * 300 times in a training step; threads that never sleep starve whatever else runs on the machine, and each other: on two
 * busy cores a step takes two to five times as long.
 */
const sessionConfig = {
  'session.intra_op.allow_spinning': '1',
  'session.intra_op.spin_duration_us': '200',
  'session.use_env_allocators': '1',
} as const;

type Pointer = bigint;
type Native = ((...args: unknown[]) => Pointer | null) & {
  async(...args: unknown[]): void;
};
type Api = Record<Exclude<keyof typeof functions, 'getErrorMessage'>, Native> & {
  getErrorMessage(status: Pointer): string;
};

interface Runtime {
  /** Held for the life of the process: koffi unloads a library whose handle is collected, under the feet of its functions. */
  readonly library: LibraryHandle;
  readonly api: Api;
  readonly context: KernelContextFunctions;
  readonly env: Pointer;
  readonly memory: Pointer;
}

/** Errors come back as a status, and become exceptions; the library need not print them too. */
const logFatal = 4;
const optimizeAll = 99;
const arenaAllocator = 1;
const defaultMemory = 0;

/** Memory that does not move, for native code to read and write pointers. */
const pointers = (length: number): BigUint64Array =>
  new BigUint64Array(new ArrayBuffer(Math.max(32, length) * 8), 0, length);

function libraryPath(): string {
  const binaries = join(dirname(require.resolve('onnxruntime-node')), '..', 'bin');
  const folder = join(binaries, readdirSync(binaries)[0], process.platform, process.arch);
  const file = readdirSync(folder).find((name) => /^(lib)?onnxruntime\.(so|dylib|dll|\d)/.test(name));
  if (!file) throw new Error(`There is no ONNX Runtime library in ${folder}`);
  return join(folder, file);
}

function loadApi(library: LibraryHandle): Pick<Runtime, 'api' | 'context'> {
  const [getApi] = koffi.decode(library.func('OrtGetApiBase', pointer, [])(), pointer, 1) as Pointer[];
  const table = koffi.call(getApi, koffi.proto(pointer, ['uint32_t']), apiVersion) as Pointer | null;
  if (table === null) throw new Error(`ONNX Runtime does not offer version ${apiVersion} of its C API`);
  const addresses = koffi.decode(table, pointer, tableLength) as Pointer[];
  const entries = Object.entries(functions).map(([name, [index, result, parameters]]) => [
    name,
    koffi.decode(addresses[index], koffi.proto(result, [...parameters])),
  ]);
  const context = Object.fromEntries(Object.entries(contextFunctions).map(([name, index]) => [name, addresses[index]]));
  return { api: Object.fromEntries(entries) as Api, context: context as unknown as KernelContextFunctions };
}

function check(api: Api, result: Pointer | null): void {
  if (result === null) return;
  const message = api.getErrorMessage(result);
  api.releaseStatus(result);
  throw new Error(`ONNX Runtime: ${message}`);
}

/** Calls a function whose last parameter receives a pointer, and returns that pointer. */
function create(api: Api, call: (out: Pointer) => Pointer | null): Pointer {
  const out = pointers(1);
  check(api, call(addressOf(out)));
  return out[0];
}

/** Calls `native` on a worker thread. */
const inBackground = (native: Native, args: unknown[]): Promise<Pointer | null> =>
  new Promise((resolve, reject) => {
    native.async(...args, (error: Error | null, result: Pointer | null) => (error ? reject(error) : resolve(result)));
  });

let runtime: Runtime | undefined;

/** The library, loaded once. Its environment lives as long as the process. */
function loadRuntime(): Runtime {
  if (runtime) return runtime;
  const library = loadLibrary(libraryPath());
  const { api, context } = loadApi(library);
  const env = create(api, (out) => api.createEnv(logFatal, 'pavlov', out));
  const memory = create(api, (out) => api.createCpuMemoryInfo(arenaAllocator, defaultMemory, out));
  // The environment is the process's, and may have its pool already, from another copy of this module.
  const registered = api.createAndRegisterAllocator(env, memory, null);
  if (registered !== null) api.releaseStatus(registered);
  runtime = { library, api, context, env, memory };
  return runtime;
}

/** An input or output of a session: the OrtValue of the array that was used last, which is mostly the next one too. */
class Slot {
  private readonly shape: BigInt64Array;
  private array: TypedArray | undefined;
  private value: Pointer = 0n;

  constructor(
    private readonly runtime: Runtime,
    private readonly spec: NamedSpec,
  ) {
    this.shape = new BigInt64Array(new ArrayBuffer(256), 0, spec.shape.length);
    this.shape.set(spec.shape.map(BigInt));
  }

  /** The OrtValue over `array`. Keeps a reference to the array, whose memory the value points to. */
  point(array: TypedArray): Pointer {
    const known = this.array;
    if (known && known.buffer === array.buffer && known.byteOffset === array.byteOffset) return this.value;
    this.release();
    const { api, memory } = this.runtime;
    const { shape, dtype } = this.spec;
    this.value = create(api, (out) =>
      api.createTensorWithData(
        memory,
        addressOf(array),
        array.byteLength,
        addressOf(this.shape),
        shape.length,
        elementTypes[dtype],
        out,
      ),
    );
    this.array = array;
    return this.value;
  }

  release(): void {
    if (this.array) this.runtime.api.releaseValue(this.value);
    this.array = undefined;
  }
}

/** Null-terminated names in one block of memory, and the table of pointers to them. */
function nameTable(names: readonly string[]): { table: BigUint64Array; bytes: Uint8Array } {
  const encoded = Buffer.from(names.map((name) => `${name}\0`).join(''), 'utf8');
  const bytes = new Uint8Array(new ArrayBuffer(Math.max(256, encoded.length)));
  bytes.set(encoded);
  const table = pointers(names.length);
  let address = addressOf(bytes);
  names.forEach((name, i) => {
    table[i] = address;
    address += BigInt(Buffer.byteLength(name, 'utf8') + 1);
  });
  return { table, bytes };
}

class CApiSession implements Session {
  private readonly inputs: Slot[];
  private readonly outputs: Slot[];
  private readonly inputNames;
  private readonly outputNames;
  private readonly inputValues: BigUint64Array;
  private readonly outputValues: BigUint64Array;
  private readonly runArguments: unknown[];
  /** What the slots point to. */
  private pointed: RunArrays | undefined;

  constructor(
    private readonly runtime: Runtime,
    private readonly session: Pointer,
    private readonly options: SessionOptions & { readonly kernelDomain: KernelDomain | undefined },
  ) {
    this.inputs = options.inputs.map((spec) => new Slot(runtime, spec));
    this.outputs = options.outputs.map((spec) => new Slot(runtime, spec));
    this.inputNames = nameTable(options.inputs.map((spec) => spec.name));
    this.outputNames = nameTable(options.outputs.map((spec) => spec.name));
    this.inputValues = pointers(this.inputs.length);
    this.outputValues = pointers(this.outputs.length);
    const inputArguments = [addressOf(this.inputNames.table), addressOf(this.inputValues), this.inputs.length];
    const outputArguments = [addressOf(this.outputNames.table), this.outputs.length, addressOf(this.outputValues)];
    this.runArguments = [session, null, ...inputArguments, ...outputArguments];
  }

  async run(arrays: RunArrays): Promise<void> {
    this.point(arrays);
    check(this.runtime.api, await inBackground(this.runtime.api.run, this.runArguments));
  }

  runSync(arrays: RunArrays): void {
    this.point(arrays);
    check(this.runtime.api, this.runtime.api.run(...this.runArguments));
  }

  dispose(): void {
    for (const slot of [...this.inputs, ...this.outputs]) slot.release();
    this.runtime.api.releaseSession(this.session);
    this.options.kernelDomain?.release();
  }

  private point(arrays: RunArrays): void {
    if (arrays === this.pointed) return; // run again and again
    this.pointed = arrays;
    const { inputs, outputs } = arrays;
    this.inputs.forEach((slot, i) => (this.inputValues[i] = slot.point(inputs[i])));
    this.outputs.forEach((slot, i) => (this.outputValues[i] = slot.point(outputs[i])));
  }
}

/** The operators that a session's kernels are. */
interface KernelDomain {
  readonly address: Pointer;
  release(): void;
}

function createKernelDomain({ api, context }: Runtime, kernels: SessionOptions['kernels']): KernelDomain | undefined {
  const entries = Object.entries(kernels);
  if (entries.length === 0) return undefined;
  const address = create(api, (out) => api.createCustomOpDomain(kernelDomain, out));
  const ops = entries.map(([name, kernel]) => createCustomOp(name, kernel, context));
  for (const op of ops) check(api, api.addToCustomOpDomain(address, op.address));
  return {
    address,
    release: () => {
      api.releaseCustomOpDomain(address);
      for (const op of ops) op.release();
    },
  };
}

async function createSession(loaded: Runtime, options: SessionOptions): Promise<Session> {
  const { api, env } = loaded;
  const sessionOptions = create(api, (out) => api.createSessionOptions(out));
  let kernelDomain: ReturnType<typeof createKernelDomain>;
  try {
    check(api, api.setIntraOpThreads(sessionOptions, options.threads));
    check(api, api.setGraphOptimizationLevel(sessionOptions, optimizeAll));
    // The plan that the first run makes is one block for all that follow, beside what the first run took: 1.6 times the
    // memory at the peak, and no faster.
    check(api, api.disableMemoryPattern(sessionOptions));
    for (const [key, value] of Object.entries(sessionConfig))
      check(api, api.addSessionConfigEntry(sessionOptions, key, value));
    const { model, profile, kernels } = options;
    kernelDomain = createKernelDomain(loaded, kernels);
    if (kernelDomain) check(api, api.addCustomOpDomain(sessionOptions, kernelDomain.address));
    if (profile !== undefined) check(api, api.enableProfiling(sessionOptions, profile));
    const out = pointers(1);
    const args = [env, addressOf(model), model.length, sessionOptions, addressOf(out)];
    check(api, await inBackground(api.createSessionFromArray, args));
    return new CApiSession(loaded, out[0], { ...options, kernelDomain });
  } catch (error) {
    kernelDomain?.release();
    throw error;
  } finally {
    api.releaseSessionOptions(sessionOptions);
  }
}

/** Throws where koffi or the library cannot be loaded. */
export function loadCApiBinding(): Binding {
  const loaded = loadRuntime();
  return { name: 'c-api', createSession: (options) => createSession(loaded, options) };
}
