import { type Assembler } from '../assembler';
import { r10, r11, r8, r9, rcx, rdi, rdx, rsi, type Vec, type VectorExtension } from '../encoding';
import { assembleKernel, type Kernel } from '../kernel';
import { type Label } from '../encoding';

/** Floats of one task: small enough to share evenly, large enough not to be felt. */
const taskLength = 16384;

interface ElementwiseSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** Tensors that are read, all of that shape. */
  readonly inputs: number;
}

/**
 * One output from inputs of the same shape, element by element. `compute` gets registers that are its own, the first of them
 * holding the inputs, and returns the one with the result; rax is free.
 */
export function elementwiseKernel(
  extension: VectorExtension,
  { name, shape, inputs }: ElementwiseSpec,
  compute: (code: Assembler, registers: readonly Vec[]) => Vec,
): Kernel {
  const size = shape.reduce((product, length) => product * length, 1);
  const pointers = [rdx, rcx, r8, r9].slice(0, inputs);
  const target = r10;
  return assembleKernel(extension, {
    name,
    inputs: pointers.map(() => 'float32' as const),
    outputs: [{ type: 'float32', shape }],
    inPlace: true,
    phases: [
      {
        tasks: Math.ceil(size / taskLength),
        emit: (code) => {
          const registers = Array.from({ length: 12 }, (_, register) => register);
          [...pointers, target].forEach((pointer, i) => {
            code.mov(pointer, { base: rdi, displacement: 8 * i });
          });
          // r11 counts the bytes from the task's first element, rsi the elements that are left.
          code.mulImmediate(r11, rsi, 4 * taskLength);
          code.mulImmediate(rsi, rsi, -taskLength);
          code.addImmediate(rsi, size);
          const [enough, next, tail, single, done]: Label[] = [{}, {}, {}, {}, {}];
          code.compareImmediate(rsi, taskLength);
          code.jumpIf('lessOrEqual', enough);
          code.movImmediate(rsi, taskLength);
          code.place(enough);
          code.addImmediate(rsi, -code.lanes);
          code.jumpIf('less', tail);
          code.align(16);
          code.place(next);
          pointers.forEach((pointer, i) => code.load(registers[i], { base: pointer, index: r11 }));
          code.store({ base: target, index: r11 }, compute(code, registers));
          code.addImmediate(r11, 4 * code.lanes);
          code.addImmediate(rsi, -code.lanes);
          code.jumpIf('greaterOrEqual', next);
          code.place(tail);
          code.addImmediate(rsi, code.lanes);
          code.compareImmediate(rsi, 0);
          code.jumpIf('equal', done);
          code.place(single);
          pointers.forEach((pointer, i) => code.loadOne(registers[i], { base: pointer, index: r11 }));
          code.storeOne({ base: target, index: r11 }, compute(code, registers));
          code.addImmediate(r11, 4);
          code.addImmediate(rsi, -1);
          code.jumpIf('greater', single);
          code.place(done);
        },
      },
    ],
  });
}
