/** What specs run machine code with. */
import { type Assembler } from './assembler';
import { r11, rcx, rdi, rsi, rsp, type VectorExtension } from './encoding';
import { addressOf, callKernel, foreign, loadLibrary, placeCode } from './executable';
import { assembleKernel, type Kernel, type TensorPort } from './kernel';
import { computesBfloat16, vectorExtensions } from './processor';
import { type Precision } from './tile';

/** Describes something for each vector extension of the machine. Where there is none, a skipped test says so. */
export function describeExtensions(name: string, body: (extension: VectorExtension) => void): void {
  const extensions = vectorExtensions();
  if (extensions.length === 0) describe(name, () => it.skip('this machine has no vector extension', () => {}));
  for (const extension of extensions) describe(`${name}, ${extension}`, () => body(extension));
}

/** How kernels for an extension can multiply on this machine. */
export const precisionsOf = (extension: VectorExtension): readonly Precision[] =>
  extension === 'avx512' && computesBfloat16() ? ['float32', 'bfloat16'] : ['float32'];

/** Describes something in bfloat16. Where the machine has none, a skipped test says so. */
export function describeBfloat16(name: string, body: () => void): void {
  describe(name, computesBfloat16() ? body : () => it.skip('this machine has no bfloat16', () => {}));
}

/** The nearest numbers of 16 bits, ties to even, as float32; finite ones only. Denormals become zero. */
export function rounded(values: Float32Array, precision: Precision | undefined): Float32Array {
  if (precision !== 'bfloat16') return values;
  const words = new Uint32Array(values.slice().buffer).map((word) => {
    if ((word & 0x7f800000) === 0) return word & 0x80000000;
    return (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
  });
  return new Float32Array(words.buffer);
}

/** The same numbers every time, in (−1, 1) and none of them 0. */
export function noise(length: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state - 0x3fffffff) / 0x40000000 || 0.5;
  });
}

/** Gives the `bytes` at rsp as `emit` leaves them. It may use `more` bytes behind them, and every register but rsp. */
export function stackAfter(
  extension: VectorExtension,
  { bytes, more = 0 }: { bytes: number; more?: number },
  emit: (code: Assembler) => void,
): ArrayBuffer {
  const result = new Uint8Array(new ArrayBuffer(Math.max(256, bytes)));
  const { code, phases } = assembleKernel(extension, {
    name: 'Spec',
    inputs: [],
    outputs: [],
    phases: [
      {
        tasks: 1,
        stack: bytes + more,
        emit: (code) => {
          emit(code);
          code.movImmediate(rdi, addressOf(result));
          code.mov(rsi, rsp);
          code.movImmediate(rcx, bytes);
          code.copyBytes();
        },
      },
    ],
  });
  const placed = placeCode(code);
  callKernel(placed.address + BigInt(phases[0].entry), new BigUint64Array(32));
  placed.release();
  return result.buffer.slice(0, bytes);
}

/** Copies numbers to the stack, `at` bytes behind rsp. Changes rdi, rsi and rcx. */
export function emitCopyIn(code: Assembler, source: Float32Array | BigInt64Array, at: number): void {
  code.movImmediate(rsi, addressOf(source));
  code.lea(rdi, { base: rsp, displacement: at });
  code.movImmediate(rcx, source.byteLength);
  code.copyBytes();
}

/** What `emit` makes of a vector in register 0, one vector after the other; the values fill whole ones. r11 is not free. */
export function vectorsAfter(
  extension: VectorExtension,
  values: Float32Array,
  emit: (code: Assembler) => void,
): Float32Array {
  const bytes = values.byteLength;
  const array = new Float32Array(new ArrayBuffer(Math.max(256, bytes)), 0, values.length);
  array.set(values);
  const result = stackAfter(extension, { bytes }, (code) => {
    emitCopyIn(code, array, 0);
    const next = {};
    code.movImmediate(r11, 0);
    code.place(next);
    code.load(0, { base: rsp, index: r11 });
    emit(code);
    code.store({ base: rsp, index: r11 }, 0);
    code.addImmediate(r11, 4 * code.lanes);
    code.compareImmediate(r11, bytes);
    code.jumpIf('less', next);
  });
  return new Float32Array(result);
}

export type Numbers = Float32Array | Int32Array;

const bytesOf = ({ buffer, byteOffset, byteLength }: Numbers): Buffer => Buffer.from(buffer, byteOffset, byteLength);

/** Whether the lists hold the same bits. For many numbers much faster than `toEqual`. */
export const sameBits = (some: readonly Numbers[], others: readonly Numbers[]): boolean =>
  some.length === others.length && some.every((one, i) => bytesOf(one).equals(bytesOf(others[i])));

const pageBytes = 4096;
const regionBytes = 2 ** 22;
/** Bytes in front of an array that are looked at. */
const marginBytes = 256;
const nobody = 0x7fc0beef; // NaN, and a number that no kernel writes

interface Region {
  readonly address: bigint;
  readonly bytes: ArrayBuffer;
}

const regions: Region[] = [];

/** Memory that ends where nothing can be read or written: who tries ends the process. */
function regionOf(nth: number): Region {
  while (regions.length <= nth) {
    const library = loadLibrary(null);
    const map = library.func('mmap', 'void *', ['void *', 'size_t', 'int', 'int', 'int', 'long']);
    const protect = library.func('mprotect', 'int', ['void *', 'size_t', 'int']);
    const address = map(null, regionBytes + pageBytes, 3, 0x22, -1, 0) as bigint;
    if (protect(address + BigInt(regionBytes), pageBytes, 0) !== 0) throw new Error('mprotect failed');
    regions.push({ address, bytes: foreign().view(address, regionBytes) });
  }
  return regions[nth];
}

interface Fenced {
  readonly address: bigint;
  readonly array: Numbers;
  /** What stands in front of it. */
  readonly margin: Int32Array;
}

/** An array at the very end of a region. */
function fenced(nth: number, { type, length }: { type: TensorPort['type']; length: number }): Fenced {
  const { address, bytes } = regionOf(nth);
  const offset = regionBytes - 4 * length;
  if (offset < marginBytes) throw new RangeError(`${length} numbers are too many for a spec`);
  new Int32Array(bytes, offset - marginBytes, length + marginBytes / 4).fill(nobody);
  return {
    address: address + BigInt(offset),
    array: type === 'float32' ? new Float32Array(bytes, offset, length) : new Int32Array(bytes, offset, length),
    margin: new Int32Array(bytes, offset - marginBytes, marginBytes / 4),
  };
}

interface RunOptions {
  /** In which order the tasks of a phase run. It must not matter. */
  readonly order?: 'from first' | 'from last';
  /** Outputs, by their numbers, that lie where an input lies. */
  readonly over?: Readonly<Record<number, number>>;
}

/** Runs a kernel. Reading or writing past an array's end ends the process; writing before it is an error. */
export function runKernel(
  kernel: Kernel,
  inputs: readonly Numbers[],
  { order, over = {} }: RunOptions = {},
): Numbers[] {
  if (inputs.length !== kernel.inputs.length) throw new RangeError(`${kernel.name} has ${kernel.inputs.length} inputs`);
  const fed = inputs.map((values, i) => {
    const place = fenced(i, { type: kernel.inputs[i], length: values.length });
    place.array.set(values);
    return place;
  });
  const written = kernel.outputs.map(({ type, shape }, i) =>
    over[i] === undefined
      ? fenced(inputs.length + i, { type, length: shape.reduce((size, length) => size * length, 1) })
      : fed[over[i]],
  );
  const pointers = new BigUint64Array(32);
  [...fed, ...written].forEach(({ address }, i) => (pointers[i] = address));
  const placed = placeCode(kernel.code);
  for (const { entry, tasks } of kernel.phases)
    for (let nth = 0; nth < tasks; nth++)
      callKernel(placed.address + BigInt(entry), pointers, order === 'from last' ? tasks - 1 - nth : nth);
  placed.release();
  if ([...fed, ...written].some(({ margin }) => margin.some((word) => word !== nobody)))
    throw new Error(`${kernel.name} wrote before an array's beginning`);
  return written.map(({ array }) => array.slice());
}
