import { type Assembler } from './assembler';
import { r8, r9, rax, rdi, rdx } from './encoding';
import { assembleKernel } from './kernel';
import { describeBfloat16, noise, rounded, runKernel } from './spec-support';

const lanes = 16;
const words = (values: Float32Array): Uint16Array => new Uint16Array(values.slice().buffer);
/** The upper halves of floats, which are their numbers in bfloat16. */
const halves = (values: Float32Array): number[] =>
  [...words(rounded(values, 'bfloat16'))].filter((_, i) => i % 2 === 1);
/** Pairs of numbers in bfloat16, as the lanes of a vector. */
const paired = (values: readonly number[]): Float32Array =>
  new Float32Array(Uint16Array.from(halves(Float32Array.from(values))).buffer);

/** What `emit` makes of three vectors in the registers that it is given: it leaves the result in the first. */
function after(registers: readonly number[], given: readonly Float32Array[], emit: (code: Assembler) => void) {
  const kernel = assembleKernel('avx512', {
    name: 'Spec',
    inputs: given.map(() => 'float32' as const),
    outputs: [{ type: 'float32', shape: [lanes] }],
    phases: [
      {
        tasks: 1,
        emit: (code) => {
          given.forEach((_, i) => {
            code.mov(rax, { base: rdi, displacement: 8 * i });
            code.load(registers[i], { base: rax });
          });
          emit(code);
          code.mov(rdx, { base: rdi, displacement: 8 * given.length });
          code.store({ base: rdx }, registers[0]);
        },
      },
    ],
  });
  return runKernel(kernel, given)[0] as Float32Array;
}

describeBfloat16('the assembler in bfloat16', () => {
  const registers = [0, 7, 8, 15, 16, 31];
  const triples = registers.flatMap((x) =>
    registers.flatMap((y) => registers.map((z) => [x, y, z] as const)).filter((one) => new Set(one).size === 3),
  );

  it('rounds two vectors to nearest, ties to even, the first one to the lower half', () => {
    const some = noise(lanes, 1).map((x) => x * 2 ** 20);
    const ties = Float32Array.from({ length: lanes }, (_, i) => (1 + i * 2 ** -8) * (i % 3 === 0 ? -1 : 1));
    ties[15] = 1e-40; // a denormal
    const expected = [...halves(some), ...halves(ties)];
    for (const [target, low, high] of triples) {
      const result = after([target, low, high], [some, some, ties], (code) => code.toBfloat16(target, low, high));
      expect([...words(result)]).toEqual(expected);
    }
  });

  it('rounds from memory, too, and keeps infinities and NaN', () => {
    const odd = Float32Array.from({ length: lanes }, (_, i) => [Infinity, -Infinity, NaN, 0, -0, 3.4e38, 1, 2][i % 8]);
    const result = after([0, 1], [odd, odd], (code) => {
      code.mov(r8, { base: rdi });
      code.toBfloat16(0, { base: r8 }, 1);
    });
    const wide = [...words(result)].map((half) => new Float32Array(Uint32Array.of(half << 16).buffer)[0]);
    const expected = [Infinity, -Infinity, NaN, 0, -0, Infinity, 1, 2];
    expect(wide).toEqual(Array.from({ length: 2 * lanes }, (_, i) => expected[i % 8]));
  });

  it('adds the products of pairs', () => {
    const numbers = (seed: number): number[] => [...noise(2 * lanes, seed).map((x) => Math.round(x * 100))];
    const [a, b] = [numbers(1), numbers(2)];
    const sums = noise(lanes, 3).map((x) => Math.round(x * 1000));
    const expected = sums.map((sum, i) => sum + a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1]);
    const given = [sums, paired(a), paired(b)];
    for (const [target, x, y] of triples)
      expect(after([target, x, y], given, (code) => code.dotBfloat16(target, x, y))).toEqual(expected);
    const fromMemory = after([3, 17], given.slice(0, 2), (code) => {
      code.mov(r9, { base: rdi, displacement: 8 });
      code.dotBfloat16(3, 17, { base: r9 });
    });
    expect(fromMemory).toEqual(sums.map((sum, i) => sum + a[2 * i] ** 2 + a[2 * i + 1] ** 2));
  });

  it('permutes words', () => {
    const [values, order] = [noise(lanes, 5), Uint16Array.from({ length: 2 * lanes }, (_, i) => (7 * i + 3) % 32)];
    const expected = [...order].map((from) => words(values)[from]);
    for (const [target, source, indices] of triples) {
      const given = [values, values, new Float32Array(order.buffer)];
      const result = after([target, source, indices], given, (code) => code.permuteWords(target, source, indices));
      expect([...words(result)]).toEqual(expected);
    }
  });

  it('has constants of words', () => {
    const values = Array.from({ length: 2 * lanes }, (_, i) => 1000 * i);
    expect([...words(after([0], [noise(lanes)], (code) => code.load(0, code.words(values))))]).toEqual(values);
  });
});
