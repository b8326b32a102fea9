/**
 * Memory that holds code. It is writable while it is filled and executable afterwards, never both at once.
 */
import { createRequire } from 'node:module';
import type * as koffiModule from 'koffi';
import type { LibraryHandle } from 'koffi';

/** Code in memory, at `address` until it is released. */
export interface ExecutableCode {
  readonly address: bigint;
  release(): void;
}

let loaded: typeof koffiModule | undefined;

/** The foreign-function interface. Loaded when it is first asked for, because that throws where it has no build for the machine. */
export const foreign = (): typeof koffiModule => (loaded ??= createRequire(__filename)('koffi') as typeof koffiModule);

/** koffi runs native code on stacks of its own; ONNX Runtime and our kernels need far more than those have by default. */
const stackBytes = 8 * 2 ** 20;

/** Loads a native library, or what the process already has. The only way to koffi's libraries: it is configured before. */
export function loadLibrary(path: string | null): LibraryHandle {
  const koffi = foreign();
  if (koffi.config().async_stack_size !== stackBytes)
    koffi.config({ async_stack_size: stackBytes, sync_stack_size: stackBytes });
  return koffi.load(path);
}

interface Memory {
  /** Held for the life of the process: koffi unloads a library whose handle is collected. */
  readonly library: LibraryHandle;
  readonly map: (address: null, bytes: number, ...rest: number[]) => bigint;
  readonly protect: (address: bigint, bytes: number, protection: number) => number;
  readonly unmap: (address: bigint, bytes: number) => number;
  readonly copy: (target: bigint, source: Uint8Array, bytes: number) => void;
}

const readable = 1;
const writable = 2;
const executable = 4;
const privateAnonymous = 0x22;

let memory: Memory | undefined;

function loadMemory(): Memory {
  if (memory) return memory;
  const library = loadLibrary(null);
  memory = {
    library,
    map: library.func('mmap', 'void *', ['void *', 'size_t', 'int', 'int', 'int', 'long']) as Memory['map'],
    protect: library.func('mprotect', 'int', ['void *', 'size_t', 'int']) as Memory['protect'],
    unmap: library.func('munmap', 'int', ['void *', 'size_t']) as Memory['unmap'],
    copy: library.func('memcpy', 'void *', ['void *', 'void *', 'size_t']) as Memory['copy'],
  };
  return memory;
}

/** Puts code into memory, at the beginning of a page. Throws where the system does not allow it. */
export function placeCode(code: Uint8Array): ExecutableCode {
  const { map, protect, unmap, copy } = loadMemory();
  const address = map(null, code.length, readable | writable, privateAnonymous, -1, 0);
  if (BigInt.asIntN(64, address) === -1n) throw new Error(`There is no memory for ${code.length} bytes of code`);
  copy(address, code, code.length);
  if (protect(address, code.length, readable | executable) !== 0) {
    unmap(address, code.length);
    throw new Error('The system does not let this process run code that it has assembled');
  }
  return { address, release: () => void unmap(address, code.length) };
}

/** The address of an array's bytes, which do not move. Small arrays must lie in a buffer of more than 64 bytes. */
export const addressOf = (array: NodeJS.TypedArray): bigint =>
  foreign().address(array.buffer) + BigInt(array.byteOffset);

let kernelType: koffiModule.TypeObject | undefined;

/** Calls code that takes a table of pointers and the number of a task. Graphs call it by themselves. */
export function callKernel(address: bigint, pointers: BigUint64Array, task = 0): void {
  kernelType ??= foreign().proto('void', ['void *', 'size_t']);
  foreign().call(address, kernelType, addressOf(pointers), task);
}
