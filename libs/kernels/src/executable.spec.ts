import { readFileSync } from 'node:fs';
import { Assembler } from './assembler';
import { r8, rax, rdi, rsi } from './encoding';
import { addressOf, callKernel, placeCode } from './executable';
import { describeExtensions } from './spec-support';

/** What the process may do with the page at an address. */
function permissionsAt(address: bigint): string | undefined {
  for (const line of readFileSync('/proc/self/maps', 'utf8').split('\n')) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(line);
    if (match && BigInt(`0x${match[1]}`) <= address && address < BigInt(`0x${match[2]}`)) return match[3];
  }
  return undefined;
}

describeExtensions('placed code', (extension) => {
  const addTask = (): Uint8Array => {
    const code = new Assembler(extension);
    code.mov(rax, { base: rdi });
    code.mov(r8, { base: rax });
    code.addGpr(r8, rsi);
    code.movTo({ base: rax }, r8);
    code.return();
    return code.finish();
  };

  it('gets the pointers and the number of the task', () => {
    const numbers = new BigInt64Array(new ArrayBuffer(256));
    numbers[3] = 40n;
    const pointers = new BigUint64Array(32);
    pointers[0] = addressOf(numbers.subarray(3));
    const placed = placeCode(addTask());
    callKernel(placed.address, pointers, 2);
    callKernel(placed.address, pointers); // task 0
    placed.release();
    expect(numbers[3]).toBe(42n);
  });

  it('begins a page that can be run and read, and never written', () => {
    const code = new Assembler(extension);
    for (let i = 0; i < 3000; i++) code.load(0, { base: rdi, displacement: 4 });
    code.return();
    const { address, release } = placeCode(code.finish());
    expect(Number(address % 4096n)).toBe(0);
    expect([0n, 4096n, 8192n].map((offset) => permissionsAt(address + offset))).toEqual(['r-xp', 'r-xp', 'r-xp']);
    release();
  });
});
