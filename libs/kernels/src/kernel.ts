import { Assembler } from './assembler';
import { type Gpr, type Label, r12, r13, r14, r15, rax, rbp, rbx, rsp, type VectorExtension } from './encoding';

/** What kernels read and write, as ONNX names element types. */
export type ElementType = 'float32' | 'int32';

export interface TensorPort {
  readonly type: ElementType;
  readonly shape: readonly number[];
}

/**
 * An operator as machine code for fixed shapes. Its phases run one after the other; the tasks of a phase run on any number of
 * threads, in any order, so no two may write to the same place. Code is entered as `void (void **pointers, size_t task)`: the
 * inputs' addresses, then the outputs'. What a kernel needs besides is an output that nobody reads.
 */
export interface Kernel {
  /** What it computes, for profiles. */
  readonly name: string;
  readonly inputs: readonly ElementType[];
  readonly outputs: readonly TensorPort[];
  /**
   * Whether the first output may be written over the first input, where nothing else reads that: a number of it is written only
   * after, and by the same task as, the number in the same place was read for the last time.
   */
  readonly inPlace?: boolean;
  readonly code: Uint8Array;
  readonly phases: readonly Phase[];
}

export interface Phase {
  /** Where it is entered, in bytes from the beginning of the code. */
  readonly entry: number;
  readonly tasks: number;
}

export interface PhaseSource {
  readonly tasks: number;
  /**
   * Bytes on the stack that a task may use, from rsp on, which is then a multiple of 64; none by default. What a thread packs for
   * one operator after another stays in its cache there. Threads have 2 MiB at least, so half of that is the most.
   */
  readonly stack?: number;
  /** Emits the code of one task, without saving registers and returning; `rdi` and `rsi` hold the arguments. */
  emit(code: Assembler): void;
}

/** Registers that belong to the caller (System V); all vector registers are ours. */
const saved: readonly Gpr[] = [rbx, rbp, r12, r13, r14, r15];

/** Bytes. */
export const mostStack = 2 ** 20;

/** Puts the phases of a kernel together. */
export function assembleKernel(
  extension: VectorExtension,
  { phases, ...kernel }: Omit<Kernel, 'code' | 'phases'> & { readonly phases: readonly PhaseSource[] },
): Kernel {
  const code = new Assembler(extension);
  const placed = phases.map(({ tasks, stack = 0, emit }): Phase => {
    if (stack > mostStack) throw new RangeError(`A task may not use ${stack} bytes of the stack`);
    const frame = Math.ceil(stack / 64) * 64;
    code.align(64);
    const entry = code.length;
    for (const register of saved) code.push(register);
    code.mov(rax, rsp);
    code.addImmediate(rsp, -frame - 64);
    code.andImmediate(rsp, -64);
    code.movTo({ base: rsp, displacement: frame }, rax);
    emit(code);
    code.clearUpper();
    code.mov(rsp, { base: rsp, displacement: frame });
    for (const register of [...saved].reverse()) code.pop(register);
    code.return();
    return { entry, tasks };
  });
  return { ...kernel, code: code.finish(), phases: placed };
}

/** Emits `body` in a loop over `counter` = from, from + step, … below `end`, which must be known; at least once. */
export function loop(
  code: Assembler,
  { counter, from = 0, end, step }: { counter: Gpr; from?: number; end: number; step: number },
  body: () => void,
): void {
  const start: Label = {};
  code.movImmediate(counter, from);
  code.align(16);
  code.place(start);
  body();
  code.addImmediate(counter, step);
  code.compareImmediate(counter, end);
  code.jumpIf('less', start);
}
