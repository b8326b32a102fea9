import { r11, r12, r13, r14, r15, r8, r9, rax, rbp, rbx, rcx, rdi, rsi, rsp } from './encoding';
import { addressOf, callKernel, placeCode } from './executable';
import { assembleKernel, loop } from './kernel';
import { describeExtensions, runKernel } from './spec-support';

describeExtensions('kernels', (extension) => {
  /** The example of the README: y = 2x, sixteen floats a task. */
  const twice = (length: number) =>
    assembleKernel(extension, {
      name: 'Twice',
      inputs: ['float32'],
      outputs: [{ type: 'float32', shape: [length] }],
      inPlace: true,
      phases: [
        {
          tasks: length / 16,
          emit: (code) => {
            const [x, y] = [r8, r9];
            code.mov(x, { base: rdi });
            code.mov(y, { base: rdi, displacement: 8 });
            code.mulImmediate(rax, rsi, 4 * 16); // where the task begins, in bytes
            for (let at = 0; at < 16; at += code.lanes) {
              const place = { index: rax, displacement: 4 * at };
              code.load(0, { base: x, ...place });
              code.op('mul', 0, 0, code.number(2));
              code.store({ base: y, ...place }, 0);
            }
          },
        },
      ],
    });

  it('do what the README says', () => {
    const x = Float32Array.from({ length: 48 }, (_, i) => i);
    expect(runKernel(twice(48), [x])[0]).toEqual(x.map((value) => 2 * value));
    expect(runKernel(twice(48), [x], { order: 'from last', over: { 0: 0 } })[0]).toEqual(x.map((value) => 2 * value));
  });

  it('run phase after phase, and hand the task to each', () => {
    const kernel = assembleKernel(extension, {
      name: 'Phases',
      inputs: [],
      outputs: [
        { type: 'int32', shape: [4] },
        { type: 'int32', shape: [1] },
      ],
      phases: [
        {
          tasks: 4,
          emit: (code) => {
            code.mov(rax, { base: rdi });
            code.addImmediate(rsi, 10);
            code.movTo32({ base: rax, index: rsi, scale: 4, displacement: -40 }, rsi);
          },
        },
        {
          tasks: 1,
          emit: (code) => {
            code.mov(rax, { base: rdi });
            code.mov(rcx, { base: rdi, displacement: 8 });
            code.movImmediate(r9, 0);
            loop(code, { counter: r8, from: 0, end: 16, step: 4 }, () => {
              code.movInt32(r11, { base: rax, index: r8 });
              code.addGpr(r9, r11);
            });
            code.movTo32({ base: rcx }, r9);
          },
        },
      ],
    });
    expect(kernel.phases.map(({ entry }) => entry % 64)).toEqual([0, 0]);
    const [numbers, sum] = runKernel(kernel, []);
    expect([...numbers]).toEqual([10, 11, 12, 13]);
    expect([...sum]).toEqual([46]);
  });

  it('give a task an aligned stack of its own, and the caller its registers back', () => {
    const spoiled = [rbx, rbp, r12, r13, r14, r15];
    const { code, phases } = assembleKernel(extension, {
      name: 'Inner',
      inputs: [],
      outputs: [],
      phases: [
        {
          tasks: 1,
          stack: 1000,
          emit: (code) => {
            code.mov(rax, { base: rdi });
            code.movTo({ base: rax }, rsp);
            for (const register of spoiled) code.movImmediate(register, -1);
            for (let at = 0; at < 1000; at += 8) code.movTo({ base: rsp, displacement: at }, rbx);
          },
        },
      ],
    });
    const inner = placeCode(code);
    const outer = assembleKernel(extension, {
      name: 'Outer',
      inputs: [],
      outputs: [],
      phases: [
        {
          tasks: 1,
          emit: (code) => {
            spoiled.forEach((register, i) => code.movImmediate(register, 100 + i));
            code.push(rdi);
            code.movImmediate(rax, inner.address + BigInt(phases[0].entry));
            code.call(rax);
            code.pop(rdi);
            code.mov(rax, { base: rdi });
            spoiled.forEach((register, i) => code.movTo({ base: rax, displacement: 8 + 8 * i }, register));
          },
        },
      ],
    });
    const placed = placeCode(outer.code);
    const words = new BigInt64Array(new ArrayBuffer(256));
    const pointers = new BigUint64Array(32);
    pointers[0] = addressOf(words);
    callKernel(placed.address + BigInt(outer.phases[0].entry), pointers);
    for (const code of [placed, inner]) code.release();
    expect(Number(words[0] % 64n)).toBe(0);
    expect([...words.subarray(1, 7)]).toEqual([100n, 101n, 102n, 103n, 104n, 105n]);
  });

  it('use a MiB of the stack at most', () => {
    const kernel = (stack: number) =>
      assembleKernel(extension, {
        name: 'Deep',
        inputs: [],
        outputs: [{ type: 'int32', shape: [2] }],
        phases: [
          {
            tasks: 1,
            stack,
            emit: (code) => {
              code.mov(rax, { base: rdi });
              code.movImmediate(rcx, 7);
              code.movTo({ base: rsp }, rcx);
              code.movTo({ base: rsp, displacement: stack - 8 }, rcx);
              code.mov(rcx, { base: rsp });
              code.movTo({ base: rax }, rcx);
            },
          },
        ],
      });
    expect([...runKernel(kernel(2 ** 20), [])[0]]).toEqual([7, 0]);
    expect(() => kernel(2 ** 20 + 1)).toThrow('A task may not use 1048577 bytes of the stack');
  });
});
