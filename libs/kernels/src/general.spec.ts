import { Assembler, type Condition } from './assembler';
import { r10, r11, r13, r8, r9, rax, rbx, rcx, rdi, rdx, rsi, rsp, type Gpr } from './encoding';
import { placeCode } from './executable';
import { describeExtensions, emitCopyIn, stackAfter } from './spec-support';

const all: Gpr[] = Array.from({ length: 16 }, (_, register) => register).filter((register) => register !== rsp);
const pairs = all.flatMap((x) => all.map((y) => [x, y] as const));
const signed = (value: bigint): bigint => BigInt.asIntN(64, value);

describeExtensions('general instructions', (extension) => {
  /** Runs pieces of code, each of which leaves a number in the register that it names. */
  const numbersOf = (pieces: readonly ((code: Assembler) => Gpr)[]): bigint[] => {
    const bytes = 8 * pieces.length;
    const result = stackAfter(extension, { bytes }, (code) =>
      pieces.forEach((piece, i) => code.movTo({ base: rsp, displacement: 8 * i }, piece(code))),
    );
    return [...new BigInt64Array(result)];
  };

  const [x, y] = [-0x123456789abcdefn, 0x7654321076543n];
  // prettier-ignore
  const binary: { name: string; emit: (code: Assembler, a: Gpr, b: Gpr) => void; expected: (a: bigint, b: bigint) => bigint }[] = [
    { name: 'mov', emit: (code, a, b) => code.mov(a, b), expected: (_, b) => b },
    { name: 'addGpr', emit: (code, a, b) => code.addGpr(a, b), expected: (a, b) => a + b },
    { name: 'subGpr', emit: (code, a, b) => code.subGpr(a, b), expected: (a, b) => a - b },
    { name: 'mulImmediate', emit: (code, a, b) => code.mulImmediate(a, b, -1234567), expected: (_, b) => b * -1234567n },
    { name: 'addImmediate', emit: (code, a) => code.addImmediate(a, -300), expected: (a) => a - 300n },
    { name: 'addImmediate of 0', emit: (code, a) => code.addImmediate(a, 0), expected: (a) => a },
    { name: 'andImmediate', emit: (code, a) => code.andImmediate(a, -64), expected: (a) => a & -64n },
    { name: 'movImmediate', emit: (code, a) => code.movImmediate(a, -5), expected: () => -5n },
    { name: 'movImmediate, wide', emit: (code, a) => code.movImmediate(a, 0xfedcba9876543210n), expected: () => 0xfedcba9876543210n },
    { name: 'push and pop', emit: (code, a, b) => { code.push(b); code.pop(a); }, expected: (_, b) => b },
    { name: 'address and lea', emit: (code, a, b) => { const here = {}; code.address(a, here); code.place(here); code.address(b, here); code.subGpr(a, b); }, expected: () => 0n },
  ];
  it.each(binary)('$name in all registers', ({ name, emit, expected }) => {
    const cases = pairs.filter(([a, b]) => name !== 'address and lea' || a !== b);
    const results = numbersOf(
      cases.map(([a, b]) => (code) => {
        code.movImmediate(a, x);
        code.movImmediate(b, y);
        emit(code, a, b);
        return a;
      }),
    );
    cases.forEach(([a, b], i) => expect(results[i]).toBe(signed(expected(a === b ? y : x, y))));
  });

  it('divides without a sign', () => {
    const divisors = all.filter((register) => register !== rax && register !== rdx);
    const cases = divisors.flatMap((register) => [rax, rdx].map((result) => ({ register, result })));
    const results = numbersOf(
      cases.map(({ register, result }) => (code) => {
        code.movImmediate(rdx, -1);
        code.movImmediate(rax, 2 ** 40 + 7);
        code.movImmediate(register, 13);
        code.divide(register);
        return result;
      }),
    );
    const [quotient, remainder] = [(2n ** 40n + 7n) / 13n, (2n ** 40n + 7n) % 13n];
    cases.forEach(({ result }, i) => expect(results[i]).toBe(result === rax ? quotient : remainder));
  });

  const holds: Record<Condition, (a: bigint, b: bigint) => boolean> = {
    below: (a, b) => BigInt.asUintN(64, a) < BigInt.asUintN(64, b),
    aboveOrEqual: (a, b) => BigInt.asUintN(64, a) >= BigInt.asUintN(64, b),
    belowOrEqual: (a, b) => BigInt.asUintN(64, a) <= BigInt.asUintN(64, b),
    above: (a, b) => BigInt.asUintN(64, a) > BigInt.asUintN(64, b),
    equal: (a, b) => a === b,
    notEqual: (a, b) => a !== b,
    less: (a, b) => a < b,
    greaterOrEqual: (a, b) => a >= b,
    lessOrEqual: (a, b) => a <= b,
    greater: (a, b) => a > b,
  };
  it.each(Object.keys(holds) as Condition[])('jumps if %s', (condition) => {
    const numbers = [-(2n ** 31n), -2n, -1n, 0n, 1n, 130n, 2n ** 31n - 1n];
    const cases = numbers.flatMap((a) =>
      numbers.flatMap((b) => [false, true].map((immediate) => ({ a, b, immediate }))),
    );
    const results = numbersOf(
      cases.map(({ a, b, immediate }, i) => (code) => {
        const [left, right] = [all[i % all.length], all[(i + 4) % all.length]];
        const yes = {};
        code.movImmediate(left, a);
        code.movImmediate(right, b);
        if (immediate) code.compareImmediate(left, Number(b));
        else code.compare(left, right);
        code.movImmediate(left, 1);
        code.jumpIf(condition, yes);
        code.movImmediate(left, 0);
        code.place(yes);
        return left;
      }),
    );
    expect(results).toEqual(cases.map(({ a, b }) => (holds[condition](a, b) ? 1n : 0n)));
  });

  it('jumps forward and backward, far, too', () => {
    const [sum] = numbersOf([
      (code) => {
        const [next, far, back, done] = [{}, {}, {}, {}];
        code.movImmediate(r9, 0);
        code.movImmediate(rcx, 5);
        code.place(next);
        code.addGpr(r9, rcx);
        code.addImmediate(rcx, -1);
        code.jumpIf('notEqual', next);
        code.jump(far);
        code.place(back);
        code.addImmediate(r9, 100);
        code.jump(done);
        for (let i = 0; i < 1000; i++) code.addImmediate(r9, 7);
        code.place(far);
        code.jump(back);
        code.place(done);
        return r9;
      },
    ]);
    expect(sum).toBe(115n);
  });

  it('calls code of its own, and other code by its address', () => {
    const other = new Assembler(extension);
    other.addImmediate(rbx, 1);
    other.return();
    const placed = placeCode(other.finish());
    const [result] = numbersOf([
      (code) => {
        const [routine, after] = [{}, {}];
        code.movImmediate(rbx, 10);
        code.jump(after);
        code.place(routine);
        code.mulImmediate(rbx, rbx, 3);
        code.return();
        code.place(after);
        code.callLabel(routine);
        for (const register of [rax, rdi, r8, r13]) {
          code.movImmediate(register, placed.address);
          code.call(register);
        }
        return rbx;
      },
    ]);
    placed.release();
    expect(result).toBe(34n);
  });

  it('copies bytes, moves halves and fetches ahead', () => {
    const source = new BigInt64Array(new ArrayBuffer(256));
    source.fill(-2n);
    const result = stackAfter(extension, { bytes: 256, more: 256 }, (code) => {
      emitCopyIn(code, source, 0);
      code.movImmediate(r11, 0x1_0000_0003);
      code.movTo32({ base: rsp, displacement: 8 }, r11);
      code.movInt32(r10, { base: rsp });
      code.movTo({ base: rsp, displacement: 16 }, r10);
      code.movImmediate(rsi, 16);
      for (const level of [1, 2] as const) code.prefetch({ base: rsi }, level); // no address of ours, and no fault
    });
    expect([...new BigInt64Array(result)].slice(0, 4)).toEqual([-2n, signed(0xffffffff00000003n), -2n, -2n]);
  });
});

it('fetches ahead into the level that is named', () => {
  // PREFETCHT0 and PREFETCHT1 of the processor's manual, 0F 18 /1 and /2, behind a prefix that says nothing.
  for (const [level, modRm] of [[1, 0x0e], [2, 0x16]] as const) {
    const code = new Assembler('avx2');
    code.prefetch({ base: rsi }, level);
    expect([...code.finish()]).toEqual([0x40, 0x0f, 0x18, modRm]);
  }
}); // prettier-ignore

it('aligns with instructions that do nothing', () => {
  const code = new Assembler('avx2');
  code.push(rax);
  code.align(16);
  expect(code.length).toBe(16);
  expect([...code.finish().subarray(1)].every((byte) => byte === 0x90)).toBe(true);
  code.align(16);
  expect(code.length).toBe(16);
});

it('a jump needs a place', () => {
  for (const emit of [
    (code: Assembler) => code.jump({}),
    (code: Assembler) => code.jumpIf('equal', {}),
    (code: Assembler) => code.address(rax, {}),
    (code: Assembler) => code.callLabel({}),
  ]) {
    const code = new Assembler('avx2');
    emit(code);
    expect(() => code.finish()).toThrow('a label that has no place');
  }
});
