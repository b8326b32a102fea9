import { Assembler } from './assembler';
import { r8, rax, rbx, rcx, rsi, rdi, type VectorExtension } from './encoding';
import { callKernel, placeCode } from './executable';

/** What cpuid and xgetbv say, one 32-bit word each. */
interface Features {
  /** Leaf 1, ecx. */
  readonly basic: number;
  /** Leaf 7, ebx. */
  readonly extended: number;
  /** Leaf 7, subleaf 1, eax. */
  readonly further: number;
  /** Registers that the operating system saves. */
  readonly saved: number;
}

const bit = (word: number, place: number): boolean => ((word >>> place) & 1) === 1;
const cpuid = [0x0f, 0xa2];
const xgetbv = [0x0f, 0x01, 0xd0];

/** Runs cpuid. Where the system has no AVX, `saved` is 0. */
function readFeatures(): Features {
  const code = new Assembler('avx2');
  const leaf = (number: number, subleaf = 0): void => {
    code.movImmediate(rax, number);
    code.movImmediate(rcx, subleaf);
    code.raw(cpuid);
  };
  const done = {};
  code.push(rbx);
  leaf(1);
  code.mov(rsi, rcx);
  code.movTo({ base: rdi }, rcx);
  leaf(7);
  code.movTo({ base: rdi, displacement: 8 }, rbx);
  leaf(7, 1); // all zeros where there is none
  code.movTo({ base: rdi, displacement: 24 }, rax);
  code.movImmediate(r8, 0);
  code.movTo({ base: rdi, displacement: 16 }, r8);
  code.andImmediate(rsi, 1 << 27); // xgetbv may be used
  code.compareImmediate(rsi, 0);
  code.jumpIf('equal', done);
  code.movImmediate(rcx, 0);
  code.raw(xgetbv);
  code.movTo({ base: rdi, displacement: 16 }, rax);
  code.place(done);
  code.pop(rbx);
  code.return();
  const words = new Uint32Array(new ArrayBuffer(256));
  const placed = placeCode(code.finish());
  callKernel(placed.address, new BigUint64Array(words.buffer));
  placed.release();
  return { basic: words[0], extended: words[2], saved: words[4], further: words[6] };
}

interface Abilities {
  readonly extensions: readonly VectorExtension[];
  readonly bfloat16: boolean;
}

let known: Abilities | undefined;

/**
 * The vector extensions that this process can use, the best first; none where code cannot be assembled: another system or
 * processor than Linux on x86-64, one without AVX2 and FMA, or a system that forbids it.
 */
export const vectorExtensions = (): readonly VectorExtension[] => (known ??= detect()).extensions;

/** Whether kernels for AVX-512 can multiply in bfloat16 (AVX512_BF16: AMD since Zen 4, Intel Cooper Lake and Sapphire Rapids). */
export const computesBfloat16 = (): boolean => (known ??= detect()).bfloat16;

function detect(): Abilities {
  const none = { extensions: [], bfloat16: false };
  if (process.platform !== 'linux' || process.arch !== 'x64') return none;
  let features: Features;
  try {
    features = readFeatures();
  } catch {
    return none; // The system does not let us.
  }
  const { basic, extended, further, saved } = features;
  const avx2 = bit(basic, 12) && bit(extended, 5) && (saved & 0x6) === 0x6;
  const avx512 = avx2 && [16, 17, 30, 31].every((place) => bit(extended, place)) && (saved & 0xe6) === 0xe6;
  return {
    extensions: [...(avx512 ? (['avx512'] as const) : []), ...(avx2 ? (['avx2'] as const) : [])],
    bfloat16: avx512 && bit(further, 5),
  };
}
