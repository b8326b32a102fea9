/**
 * Kernels as operators of ONNX Runtime. An operator is a C struct of callbacks (`struct OrtCustomOp` in onnxruntime_c_api.h), and
 * callbacks run on threads where there is no JavaScript; so they are machine code too, a few instructions each, that read what
 * they answer from behind the struct.
 */
import {
  addressOf,
  Assembler,
  type ExecutableCode,
  type Kernel,
  type Label,
  placeCode,
  r12,
  r13,
  r14,
  r8,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
  rsp,
  type Gpr,
} from '@pavlov/kernels';
import { elementTypes } from './onnx-encode';

/** Functions of ONNX Runtime that operators call while they run. */
export interface KernelContextFunctions {
  readonly getInput: bigint;
  readonly getOutput: bigint;
  readonly getData: bigint;
  readonly parallelFor: bigint;
}

/** Positions in the struct, in words of 8 bytes. Those up to 25 are ONNX Runtime's. */
const field = {
  version: 0,
  getName: 2,
  getProvider: 3,
  getInputType: 4,
  getInputCount: 5,
  getOutputType: 6,
  getOutputCount: 7,
  destroyKernel: 9,
  getInputCharacteristic: 10,
  getOutputCharacteristic: 11,
  getMemoryType: 12,
  createKernel: 17,
  compute: 18,
  getStartVersion: 20,
  getEndVersion: 21,
  getMayInPlace: 22,
  releaseMayInPlace: 23,
  name: 26,
  inputCount: 27,
  outputCount: 28,
  types: 29,
  pointers: 30,
  shapes: 31,
  phases: 32,
  length: 33,
} as const;

/** Of the struct as we fill it in: the first with `createKernel` and `compute` as they are here, and versions of operators. */
const structVersion = 18;
const latest = 0x7fffffff;

/** An index of 0, in memory that does not move. */
const firstOnly = new Int32Array(new ArrayBuffer(256));

const at = (base: Gpr, name: keyof typeof field) => ({ base, displacement: 8 * field[name] });

/** The callbacks, by the field that points to them. */
function callbacks(context: KernelContextFunctions): { code: Uint8Array; entries: Record<string, number> } {
  const code = new Assembler('avx2');
  const entries: Record<string, number> = {};
  const callback = (name: keyof typeof field, body: () => void): void => {
    code.align(16);
    entries[name] = code.length;
    body();
    code.return();
  };
  const answer = (value: number) => () => code.movImmediate(rax, value);
  callback('getName', () => code.mov(rax, at(rdi, 'name')));
  callback('getInputCount', () => code.mov(rax, at(rdi, 'inputCount')));
  callback('getOutputCount', () => code.mov(rax, at(rdi, 'outputCount')));
  callback('getInputType', () => {
    code.mov(rax, at(rdi, 'types'));
    code.mov(rax, { base: rax, index: rsi, scale: 8 });
  });
  callback('getOutputType', () => {
    code.addGpr(rsi, at(rdi, 'inputCount'));
    code.mov(rax, at(rdi, 'types'));
    code.mov(rax, { base: rax, index: rsi, scale: 8 });
  });
  callback('getInputCharacteristic', answer(0)); // required
  callback('getOutputCharacteristic', answer(0));
  callback('getMemoryType', answer(0));
  callback('getStartVersion', answer(1));
  callback('getEndVersion', answer(latest));
  callback('getProvider', answer(0)); // the CPU
  callback('destroyKernel', answer(0));
  callback('createKernel', () => {
    code.movTo({ base: rcx }, rdi); // the operator is its own kernel
    code.movImmediate(rax, 0);
  });
  callback('getMayInPlace', () => {
    // Lists of inputs and of outputs that may be written over them: the first and the first.
    code.movImmediate(rax, addressOf(firstOnly));
    code.movTo({ base: rdi }, rax);
    code.movTo({ base: rsi }, rax);
    code.movImmediate(rax, 1);
  });
  callback('releaseMayInPlace', answer(0));
  callback('compute', () => emitCompute(code, context));
  return { code: code.finish(), entries };
}

/** Status (kernel, context): looks the tensors' addresses up, then runs phase after phase. */
function emitCompute(code: Assembler, context: KernelContextFunctions): void {
  const [struct, run, index, pointers, phase] = [rbx, rbp, r12, r14, r13];
  const saved = [rbx, rbp, r12, r13, r14];
  const end: Label = {};
  for (const register of saved) code.push(register);
  code.addImmediate(rsp, -16);
  code.mov(struct, rdi);
  code.mov(run, rsi);
  code.mov(pointers, at(struct, 'pointers'));

  const call = (address: bigint): void => {
    code.movImmediate(rax, address);
    code.call(rax);
    code.compareImmediate(rax, 0);
    code.jumpIf('notEqual', end); // with the error in rax
  };
  const lookUp = (count: 'inputCount' | 'outputCount', get: () => void): void => {
    const [next, done]: Label[] = [{}, {}];
    code.movImmediate(index, 0);
    code.place(next);
    code.compare(index, at(struct, count));
    code.jumpIf('aboveOrEqual', done);
    code.mov(rdi, run);
    code.mov(rsi, index);
    get();
    code.mov(rdi, { base: rsp });
    code.lea(rsi, { base: rsp, displacement: 8 });
    call(context.getData);
    code.mov(rax, { base: rsp, displacement: 8 });
    code.movTo({ base: pointers }, rax);
    code.addImmediate(pointers, 8);
    code.addImmediate(index, 1);
    code.jump(next);
    code.place(done);
  };
  lookUp('inputCount', () => {
    code.lea(rdx, { base: rsp });
    call(context.getInput);
  });
  lookUp('outputCount', () => {
    // An entry of `shapes`: the address of the sizes and their number.
    code.mov(r8, at(struct, 'shapes'));
    code.lea(r8, { base: r8, index, scale: 8 }); // twice, since an entry has two words
    code.lea(r8, { base: r8, index, scale: 8 });
    code.mov(rdx, { base: r8 });
    code.mov(rcx, { base: r8, displacement: 8 });
    code.lea(r8, { base: rsp });
    call(context.getOutput);
  });

  const [next, done]: Label[] = [{}, {}];
  code.mov(phase, at(struct, 'phases'));
  code.place(next);
  code.mov(rsi, { base: phase });
  code.compareImmediate(rsi, 0);
  code.jumpIf('equal', done);
  code.mov(rdi, run);
  code.mov(rdx, { base: phase, displacement: 8 });
  code.movImmediate(rcx, 0);
  code.mov(r8, at(struct, 'pointers'));
  call(context.parallelFor);
  code.addImmediate(phase, 16);
  code.jump(next);
  code.place(done);
  code.movImmediate(rax, 0);
  code.place(end);
  code.addImmediate(rsp, 16);
  for (const register of [...saved].reverse()) code.pop(register);
}

let stubs: { readonly code: ExecutableCode; readonly entries: Record<string, number> } | undefined;

/** Memory that does not move, for native code to read. */
const words = (values: readonly (number | bigint)[]): BigUint64Array => {
  const array = new BigUint64Array(new ArrayBuffer(Math.max(32, values.length) * 8), 0, values.length);
  values.forEach((value, i) => (array[i] = BigInt(value)));
  return array;
};

/** A kernel in the form in which ONNX Runtime takes operators. */
export interface CustomOp {
  /** Address of the struct. */
  readonly address: bigint;
  /** When no session uses it any more. */
  release(): void;
}

/** Every node needs an operator of its own, under its own name: the tensors' addresses are kept with it. */
export function createCustomOp(name: string, kernel: Kernel, context: KernelContextFunctions): CustomOp {
  if (!stubs) {
    const { code, entries } = callbacks(context);
    stubs = { code: placeCode(code), entries };
  }
  const { code, entries } = stubs;
  const { inputs, outputs, phases } = kernel;
  const placed = placeCode(kernel.code);
  const text = new Uint8Array(new ArrayBuffer(256 + name.length));
  text.set(Buffer.from(name, 'utf8'));
  const shapes = outputs.map(({ shape }) => words(shape));
  const tables = {
    types: words([...inputs, ...outputs.map(({ type }) => type)].map((type) => elementTypes[type])),
    pointers: words([...inputs, ...outputs].map(() => 0)),
    shapes: words(shapes.flatMap((shape) => [addressOf(shape), shape.length])),
    phases: words([...phases.flatMap(({ entry, tasks }) => [placed.address + BigInt(entry), tasks]), 0]),
  };
  const struct = words(Array.from({ length: field.length }, () => 0));
  struct[field.version] = BigInt(structVersion);
  for (const [callback, entry] of Object.entries(entries))
    if (kernel.inPlace || !callback.endsWith('MayInPlace'))
      struct[field[callback as keyof typeof field]] = code.address + BigInt(entry);
  struct[field.name] = addressOf(text);
  struct[field.inputCount] = BigInt(inputs.length);
  struct[field.outputCount] = BigInt(outputs.length);
  for (const [table, values] of Object.entries(tables)) struct[field[table as keyof typeof field]] = addressOf(values);
  const kept = { struct, text, shapes, tables };
  return {
    get address() {
      return addressOf(kept.struct);
    },
    release: () => placed.release(),
  };
}
