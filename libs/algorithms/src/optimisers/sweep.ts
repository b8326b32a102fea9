/**
 * The loops that pass over every float of a model on every step: machine code on the arrays themselves where there is some, else
 * WebAssembly with SIMD, which is two to three times as fast as JavaScript with its double precision. Both give the same weights
 * to the last bit.
 *
 * Method of the latter: blocks of 4096 floats are copied into one page of memory that stays in the processor's cache, swept, and
 * copied back. So the arrays can lie anywhere, and be of any size.
 */
import { machineSweeps, type Sweeps } from '@pavlov/kernels';

/** `sweep.wat`, assembled (`wat2wasm`); a spec assembles it again and compares. */
export const sweepModule =
  'AGFzbQEAAAABEwJgCn99fX19fX19fX0AYAJ/fQADAwIAAQUDAQABBxwDBm1lbW9yeQIABWFkYW13AAAHYXZlcmFnZQABCvAB' +
  'ArABAgF/A3sDQCAK/QAEgIABIAX9E/3mASELIAH9EyAK/QAEgIAC/eYBIAL9EyAL/eYB/eQBIQwgA/0TIAr9AASAgAP95gEg' +
  'BP0TIAv95gEgC/3mAf3kASENIAogDP0LBICAAiAKIA39CwSAgAMgCiAK/QAEACAJ/RP95gEgBv0TIAz95gEgDf3jASAH/RP9' +
  '5gEgCP0T/eQB/ecB/eUB/QsEACAKQRBqIQogCiAASQ0ACws8AQF/A0AgAiAC/QAEACAB/RMgAv0ABICAASAC/QAEAP3lAf3m' +
  'Af3kAf0LBAAgAkEQaiECIAIgAEkNAAsL';

/** Floats of a block. */
const blockLength = 4096;

interface WasmSweeps {
  adamw(bytes: number, ...constants: number[]): void;
  average(bytes: number, share: number): void;
}

const { memory, ...wasm } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(sweepModule, 'base64')))
  .exports as unknown as WasmSweeps & { memory: WebAssembly.Memory };
const blocks = [0, 1, 2, 3].map((block) => new Float32Array(memory.buffer, 4 * blockLength * block, blockLength));

/** V8 moves arrays of fewer bytes, and native code holds pointers. */
const smallestBuffer = 256;

/** The sweeps for these arrays. */
export function sweepsOf(...arrays: readonly Float32Array[]): Sweeps {
  const machine = arrays.every(({ buffer }) => buffer.byteLength >= smallestBuffer) ? machineSweeps() : undefined;
  return machine ?? portableSweeps;
}

export const portableSweeps: Sweeps = {
  adamw: ({ parameters, gradients, firstMoment, secondMoment }, { beta1, beta2, gradientScale, ...rest }) => {
    const { rate, inverseRoot, epsilon, keep } = rest;
    const constants = [beta1, 1 - beta1, beta2, 1 - beta2, gradientScale, rate, inverseRoot, epsilon, keep];
    const changed = [parameters, undefined, firstMoment, secondMoment];
    inBlocks([parameters, gradients, firstMoment, secondMoment], changed, (bytes) => wasm.adamw(bytes, ...constants));
  },
  average: ({ average, parameters, share }) => {
    inBlocks([average, parameters], [average], (bytes) => wasm.average(bytes, share));
  },
  accumulate: (total, other) => {
    for (let i = 0; i < total.length; i++) total[i] += other[i];
  },
  squares: (x) => {
    // Four sums, so that the additions do not wait for one another.
    let [a, b, c, d] = [0, 0, 0, 0];
    const even = x.length - (x.length % 4);
    for (let i = 0; i < even; i += 4) {
      a += x[i] * x[i];
      b += x[i + 1] * x[i + 1];
      c += x[i + 2] * x[i + 2];
      d += x[i + 3] * x[i + 3];
    }
    for (let i = even; i < x.length; i++) a += x[i] * x[i];
    return a + b + (c + d);
  },
};

/** Runs `sweep` on block after block of the arrays, and takes back those that it changes. */
function inBlocks(
  arrays: readonly Float32Array[],
  changed: readonly (Float32Array | undefined)[],
  sweep: (bytes: number) => void,
): void {
  const end = arrays[0].length;
  for (let from = 0; from < end; from += blockLength) {
    const to = Math.min(from + blockLength, end);
    const length = to - from;
    arrays.forEach((array, block) => blocks[block].set(array.subarray(from, to)));
    sweep(16 * Math.ceil(length / 4)); // what lies past the end is computed, and left
    changed.forEach((array, block) =>
      array?.set(length === blockLength ? blocks[block] : blocks[block].subarray(0, length), from),
    );
  }
}
