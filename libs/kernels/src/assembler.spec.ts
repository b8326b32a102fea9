import { Assembler, type Bits } from './assembler';
import { r11, r8, rax, rcx, rdx, rsp, type Vec, type VectorExtension } from './encoding';
import { describeExtensions, emitCopyIn, noise, stackAfter } from './spec-support';

type Operation = Parameters<Assembler['op']>[0];
type Lanes = Float32Array;
type Meaning = (operands: { target: Lanes; a: Lanes; b: Lanes }) => ArrayLike<number>;

const lanewise =
  (compute: (t: number, a: number, b: number) => number): Meaning =>
  ({ target, a, b }) =>
    target.map((t, lane) => compute(t, a[lane], b[lane]));

const bitwise =
  (compute: (a: number, b: number) => number): Meaning =>
  ({ a, b }) => {
    const [x, y] = [a, b].map((lanes) => new Int32Array(lanes.slice().buffer));
    return new Float32Array(x.map((word, lane) => compute(word, y[lane])).buffer);
  };

/** The same for each quarter or half of 128 bits. */
const blockwise =
  (compute: (a: Lanes, b: Lanes) => number[]): Meaning =>
  ({ a, b }) =>
    Float32Array.from(
      Array.from({ length: a.length / 4 }, (_, i) => compute(a.subarray(4 * i, 4 * i + 4), b.subarray(4 * i, 4 * i + 4))).flat(),
    ); // prettier-ignore

/** Sums and products of such numbers are exact in double precision, so rounding once is what hardware does. */
const meanings: Record<Operation, Meaning> = {
  add: lanewise((_, a, b) => a + b),
  sub: lanewise((_, a, b) => a - b),
  mul: lanewise((_, a, b) => a * b),
  div: lanewise((_, a, b) => a / b),
  min: lanewise((_, a, b) => Math.min(a, b)),
  max: lanewise((_, a, b) => Math.max(a, b)),
  fma231: lanewise((t, a, b) => a * b + t),
  fma213: lanewise((t, a, b) => a * t + b),
  fnma231: lanewise((t, a, b) => -(a * b) + t),
  fms231: lanewise((t, a, b) => a * b - t),
  scale: lanewise((_, a, b) => a * 2 ** Math.floor(b)),
  xor: bitwise((a, b) => a ^ b),
  and: bitwise((a, b) => a & b),
  addInt: bitwise((a, b) => (a + b) | 0),
  unpackLow: blockwise(([a0, a1], [b0, b1]) => [a0, b0, a1, b1]),
  unpackHigh: blockwise(([, , a2, a3], [, , b2, b3]) => [a2, b2, a3, b3]),
  unpackLow64: blockwise(([a0, a1], [b0, b1]) => [a0, a1, b0, b1]),
  unpackHigh64: blockwise(([, , a2, a3], [, , b2, b3]) => [a2, a3, b2, b3]),
};

/** Low and high ones, on both sides of each bit of their numbers. */
const registersOf = (extension: VectorExtension): Vec[] => [0, 7, 8, 15, ...(extension === 'avx512' ? [16, 31] : [])];

const lanesOf = (extension: VectorExtension): number => (extension === 'avx512' ? 16 : 8);
const bitsOf = (values: ArrayLike<number>): Int32Array => new Int32Array(Float32Array.from(values).buffer);

/** ±1 to ±2 */
const operands = (extension: VectorExtension): Lanes[] =>
  [3, 4, 5].map((seed) => noise(lanesOf(extension), seed).map((value) => Math.sign(value) + value));

/** Runs pieces of code, each of which leaves a vector in register 0 … 31 that it names; three vectors are given at rcx. */
function vectorsOf(
  extension: VectorExtension,
  given: readonly Lanes[],
  pieces: readonly ((code: Assembler) => Vec)[],
): Int32Array[] {
  const vectorBytes = 4 * lanesOf(extension);
  const bytes = pieces.length * vectorBytes;
  const table = new Float32Array(new ArrayBuffer(512), 0, 3 * lanesOf(extension));
  given.forEach((vector, i) => table.set(vector, i * vector.length));
  const result = stackAfter(extension, { bytes, more: 1024 }, (code) => {
    emitCopyIn(code, table, bytes);
    code.lea(rcx, { base: rsp, displacement: bytes });
    pieces.forEach((piece, i) => code.store({ base: rsp, displacement: i * vectorBytes }, piece(code)));
  });
  return pieces.map((_, i) => new Int32Array(result, i * vectorBytes, lanesOf(extension)));
}

const given = (code: Assembler, nth: number) => ({ base: rcx, displacement: 4 * code.lanes * nth });

describeExtensions('the assembler on vectors', (extension) => {
  const lanes = lanesOf(extension);
  const registers = registersOf(extension);
  const [t, a, b] = operands(extension);
  const triples = registers.flatMap((x) => registers.flatMap((y) => registers.map((z) => [x, y, z] as const)));
  const names = (Object.keys(meanings) as Operation[]).filter((name) => extension === 'avx512' || name !== 'scale');

  it.each(names)('%s in all registers, be some of them the same', (name) => {
    const pieces = triples.map((triple) => (code: Assembler) => {
      triple.forEach((register, i) => code.load(register, given(code, i)));
      code.op(name, ...triple);
      return triple[0];
    });
    const results = vectorsOf(extension, [t, a, b], pieces);
    triples.forEach(([target, left, right], i) => {
      // Whoever shares a register with a later operand holds that one's numbers.
      const second = left === right ? b : a;
      const first = target === right ? b : target === left ? second : t;
      expect(results[i]).toEqual(bitsOf(meanings[name]({ target: first, a: second, b })));
    });
  });

  it.each(names)('%s with an operand in memory', (name) => {
    const pairs = registers.flatMap((x) => registers.filter((y) => y !== x).map((y) => [x, y] as const));
    const pieces = pairs.map(([target, left]) => (code: Assembler) => {
      code.load(target, given(code, 0));
      code.load(left, given(code, 1));
      code.op(name, target, left, given(code, 2));
      return target;
    });
    const expected = bitsOf(meanings[name]({ target: t, a, b }));
    for (const result of vectorsOf(extension, [t, a, b], pieces)) expect(result).toEqual(expected);
  });

  it('multiplies and adds with one rounding', () => {
    const [x, y] = [new Float32Array(lanes).fill(1 + 2 ** -12), new Float32Array(lanes).fill(-(1 + 2 ** -11))];
    const [result] = vectorsOf(extension, [y, x, x], [
      (code) => {
        [0, 1, 2].forEach((register) => code.load(register, given(code, register)));
        code.op('fma231', 0, 1, 2);
        return 0;
      },
    ]); // prettier-ignore
    expect(result).toEqual(bitsOf(new Float32Array(lanes).fill(2 ** -24)));
  });

  it('min and max give their second operand where one is not a number', () => {
    const [nan, one] = [new Float32Array(lanes).fill(NaN), new Float32Array(lanes).fill(1)];
    const piece = (name: 'min' | 'max', left: number, right: number) => (code: Assembler) => {
      code.load(1, given(code, left));
      code.op(name, 0, 1, given(code, right));
      return 0;
    };
    const pieces = (['min', 'max'] as const).flatMap((name) => [piece(name, 0, 1), piece(name, 1, 0)]);
    const results = vectorsOf(extension, [nan, one, one], pieces);
    expect(results.map((result) => new Float32Array(result.buffer, result.byteOffset)[0])).toEqual([1, NaN, 1, NaN]);
  });

  const widths: readonly Bits[] = extension === 'avx512' ? [128, 256, 512] : [128, 256];
  it.each(widths)('%i bits: what lies above them becomes zero', (bits) => {
    const pieces = registers.flatMap((register) => [
      (code: Assembler) => {
        code.load(register, given(code, 0));
        code.load(register, given(code, 1), bits);
        return register;
      },
      (code: Assembler) => {
        code.load(register, given(code, 0));
        code.op('add', register, register, given(code, 1), bits);
        return register;
      },
      (code: Assembler) => {
        code.zero(register);
        code.store(given(code, 2), register);
        code.load(register, given(code, 0));
        code.store(given(code, 2), register, bits);
        code.load(register, given(code, 2));
        return register;
      },
    ]);
    const cut = (values: Lanes): Int32Array => bitsOf(values.map((value, lane) => (lane < bits / 32 ? value : 0)));
    const results = vectorsOf(extension, [t, a, b], pieces);
    registers.forEach((_, i) => {
      expect(results[3 * i]).toEqual(cut(a));
      expect(results[3 * i + 1]).toEqual(cut(t.map((value, lane) => value + a[lane])));
      expect(results[3 * i + 2]).toEqual(cut(t));
    });
  });

  it('computes on the lowest lane alone', () => {
    const single = ['add', 'mul', 'sub', 'div', 'max', 'min'] as const;
    const cases = single.flatMap((name) => triples.map((triple) => ({ name, triple })));
    const pieces = cases.flatMap(({ name, triple: [target, left, right] }) =>
      [false, true].map((memory) => (code: Assembler) => {
        code.load(left, given(code, 1));
        if (left !== right) code.load(right, given(code, 2));
        code.opOne(name, target, left, memory ? given(code, 2) : right);
        return target;
      }),
    );
    const results = vectorsOf(extension, [t, a, b], pieces);
    cases.forEach(({ name, triple: [, left, right] }, i) => {
      [false, true].forEach((memory, nth) => {
        const second = memory || left !== right ? b : a;
        const lowest = meanings[name]({ target: t, a, b: second })[0];
        const expected = a.map((value, lane) => (lane === 0 ? lowest : lane < 4 ? value : 0));
        expect(results[2 * i + nth]).toEqual(bitsOf(expected));
      });
    });
  });

  it('loads, broadcasts, rounds, converts and shifts', () => {
    const values = a.map((value, lane) => (lane === 1 ? 2.5 : lane === 2 ? -3.5 : 1000 * value));
    const even = (x: number): number => {
      const below = Math.floor(x);
      return x - below === 0.5 ? 2 * Math.round(below / 2) : Math.round(x);
    };
    const words = bitsOf(values);
    const asFloats = (integers: ArrayLike<number>): Int32Array => Int32Array.from(integers);
    const cases: { emit: (code: Assembler, target: Vec, source: Vec) => void; expected: Int32Array }[] = [
      { emit: (code, target) => code.loadOne(target, given(code, 1)), expected: bitsOf(values.map((x, lane) => (lane === 0 ? x : 0))) }, // prettier-ignore
      { emit: (code, target) => code.broadcast(target, given(code, 1)), expected: bitsOf(values.map(() => values[0])) },
      { emit: (code, target, source) => code.broadcast(target, source), expected: bitsOf(values.map(() => values[0])) },
      { emit: (code, target, source) => code.round(target, source), expected: bitsOf(values.map(even)) },
      { emit: (code, target, source) => code.toInt(target, source), expected: asFloats([...values].map(even)) },
      { emit: (code, target, source) => code.toFloat(target, source), expected: bitsOf([...words]) },
      { emit: (code, target) => code.loadBytes(target, given(code, 1)), expected: Int32Array.from(new Int8Array(words.buffer, 0, lanes)) }, // prettier-ignore
      { emit: (code, target, source) => code.shiftLeft(target, source, 5), expected: words.map((word) => word << 5) },
      { emit: (code, target, source) => code.shiftRight(target, source, 23), expected: words.map((word) => word >>> 23) }, // prettier-ignore
      { emit: (code, target) => code.zero(target), expected: new Int32Array(lanes) },
      { emit: (code, target) => code.constant(target, -1.25, r8), expected: bitsOf(values.map(() => -1.25)) },
      { emit: (code, target) => code.constant(target, 0, rdx), expected: new Int32Array(lanes) },
      { emit: (code, target) => code.constantBits(target, -2, rax), expected: new Int32Array(lanes).fill(-2) },
      { emit: (code, target) => code.load(target, code.number(1 / 3)), expected: bitsOf(values.map(() => 1 / 3)) },
      { emit: (code, target) => code.load(target, code.numberBits(77)), expected: new Int32Array(lanes).fill(77) },
      { emit: (code, target) => code.load(target, code.numbers([...values])), expected: words },
    ];
    const pairs = registers.flatMap((x) => registers.map((y) => [x, y] as const));
    const pieces = cases.flatMap(({ emit }) =>
      pairs.map(([target, source]) => (code: Assembler) => {
        code.load(source, given(code, 1));
        emit(code, target, source);
        return target;
      }),
    );
    const results = vectorsOf(extension, [t, values, b], pieces);
    cases.forEach(({ expected }, i) => {
      pairs.forEach((_, j) => expect(results[i * pairs.length + j]).toEqual(expected));
    });
  });

  it('takes roots', () => {
    const positive = a.map(Math.abs);
    const pairs = registers.flatMap((x) => registers.map((y) => [x, y] as const));
    const pieces = pairs.flatMap(([target, source]) => [
      (code: Assembler) => {
        code.load(source, given(code, 1));
        code.sqrt(target, source);
        return target;
      },
      (code: Assembler) => {
        code.sqrt(target, given(code, 1));
        return target;
      },
    ]);
    const expected = bitsOf(positive.map(Math.sqrt));
    for (const result of vectorsOf(extension, [t, positive, b], pieces)) expect(result).toEqual(expected);
  });

  it('shuffles', () => {
    const pick = (pattern: number, i: number): number => (pattern >> (2 * i)) & 3;
    const within = blockwise((x, y) => [x[pick(0b01_11_00_10, 0)], x[pick(0b01_11_00_10, 1)], y[pick(0b01_11_00_10, 2)], y[pick(0b01_11_00_10, 3)]]); // prettier-ignore
    const part = (vector: Lanes, nth: number, size: number): number[] => [...vector.subarray(nth * size, (nth + 1) * size)]; // prettier-ignore
    const quarters = (x: Lanes, y: Lanes): number[] => [0, 1, 2, 3].flatMap((i) => part(i < 2 ? x : y, pick(0b01_11_00_10, i), 4)); // prettier-ignore
    const halves = (x: Lanes, y: Lanes): number[] => [...part(x, 1, 4), ...part(y, 0, 4)];
    const pieces = triples.flatMap(([target, left, right]) => [
      (code: Assembler) => {
        [left, right].forEach((register, i) => code.load(register, given(code, 1 + i)));
        code.shuffle(target, left, right, 0b01_11_00_10);
        return target;
      },
      (code: Assembler) => {
        [left, right].forEach((register, i) => code.load(register, given(code, 1 + i)));
        code.shuffleBlocks(target, left, right, extension === 'avx512' ? 0b01_11_00_10 : 0x21);
        return target;
      },
    ]);
    const results = vectorsOf(extension, [t, a, b], pieces);
    triples.forEach(([, left, right], i) => {
      const first = left === right ? b : a;
      expect(results[2 * i]).toEqual(bitsOf(within({ target: t, a: first, b })));
      expect(results[2 * i + 1]).toEqual(bitsOf(extension === 'avx512' ? quarters(first, b) : halves(first, b)));
    });
  });

  it('computes in double precision', () => {
    const half = lanes / 2;
    const pairs = registers.flatMap((x) => registers.filter((y) => y !== x).map((y) => [x, y] as const));
    const pieces = pairs.flatMap(([x, y]) =>
      (['add', 'mul'] as const).map((name) => (code: Assembler) => {
        code.load(x, given(code, 1));
        code.upperHalf(y, x);
        code.toDouble(x, x);
        code.toDouble(y, y);
        code.opDouble(name, x, x, y);
        return x;
      }),
    );
    const results = vectorsOf(extension, [t, a, b], pieces);
    pairs.forEach((_, i) => {
      ['add', 'mul'].forEach((name, nth) => {
        const result = results[2 * i + nth];
        const expected = Float64Array.from({ length: half }, (_, lane) =>
          name === 'add' ? a[lane] + a[half + lane] : a[lane] * a[half + lane],
        );
        expect(new Float64Array(result.buffer.slice(result.byteOffset, result.byteOffset + 4 * lanes))).toEqual(
          expected,
        );
      });
    });
  });

  it.each(['add', 'max'] as const)('reduces by %s, in a fixed order', (name) => {
    const combine = (x: number, y: number): number => Math.fround(name === 'add' ? x + y : Math.max(x, y));
    let left = [...a];
    while (left.length > 1) {
      const half = left.length / 2;
      left = left.slice(0, half).map((value, i) => combine(value, left[half + i]));
    }
    const cases = triples.filter(([target, source, scratch]) => source !== scratch && target !== scratch);
    const pieces = cases.map(([target, source, scratch]) => (code: Assembler) => {
      code.load(source, given(code, 1));
      code.reduce(name, target, source, scratch);
      return target;
    });
    const results = vectorsOf(extension, [t, a, b], pieces);
    for (const result of results) expect(result[0]).toBe(bitsOf(left)[0]);
  });

  it('masks: loads, stores, keeps and blends the first lanes', () => {
    const masks = extension === 'avx512' ? [1, 4, 7] : [8, 15];
    const cases = masks.flatMap((mask) =>
      registers.flatMap((x) => registers.flatMap((y) => Array.from({ length: lanes }, (_, i) => ({ mask, x, y, count: i + 1 })))), // prettier-ignore
    ).filter(({ mask, x, y }) => x !== y && (extension === 'avx512' || ![x, y].includes(mask))); // prettier-ignore
    const pieces = cases.flatMap(({ mask, x, y, count }) => {
      const prepare = (code: Assembler): void => {
        code.setMask(mask, count, count % 2 === 0 ? rax : rdx);
        code.load(x, given(code, 0));
        code.load(y, given(code, 1));
      };
      return [
        (code: Assembler) => {
          prepare(code);
          code.loadMasked(x, given(code, 1), mask);
          return x;
        },
        (code: Assembler) => {
          prepare(code);
          code.keepMasked(x, y, mask);
          return x;
        },
        (code: Assembler) => {
          prepare(code);
          code.blendMasked(x, y, x, mask); // the others are x's own
          return x;
        },
        (code: Assembler) => {
          prepare(code);
          code.store(given(code, 2), x);
          code.storeMasked(given(code, 2), y, mask);
          code.load(y, given(code, 2));
          return y;
        },
      ];
    });
    const results = vectorsOf(extension, [t, a, b], pieces);
    cases.forEach(({ count }, i) => {
      const first = (others: Lanes): Int32Array =>
        bitsOf(a.map((value, lane) => (lane < count ? value : others[lane])));
      const zeros = new Float32Array(lanes);
      expect(results.slice(4 * i, 4 * i + 4)).toEqual([first(zeros), first(zeros), first(t), first(t)]);
    });
  });

  it('blends into a register of its own', () => {
    const [result] = vectorsOf(extension, [t, a, b], [
      (code) => {
        const mask = extension === 'avx512' ? 1 : 15;
        code.setMask(mask, 3, rax);
        [0, 1].forEach((register) => code.load(register, given(code, register)));
        code.blendMasked(2, 1, 0, mask);
        return 2;
      },
    ]); // prettier-ignore
    expect(result).toEqual(bitsOf(t.map((value, lane) => (lane < 3 ? a[lane] : value))));
  });

  it('compares single floats; what is not a number is not above', () => {
    const pairs = [[1, 2], [2, 1], [1, 1], [NaN, 1], [1, NaN], [-1, 0], [0, -0], [Infinity, 1]]; // prettier-ignore
    const conditions = ['above', 'aboveOrEqual', 'belowOrEqual'] as const;
    const cases = pairs.flatMap((pair) => conditions.flatMap((condition) => registers.map((register) => ({ pair, condition, register })))); // prettier-ignore
    const pieces = cases.map(({ pair, condition, register }) => (code: Assembler) => {
      const other = register === 0 ? 7 : 0;
      const yes = {};
      code.constant(register, pair[0], rax);
      code.constant(other, pair[1], rax);
      code.compareOne(register, other);
      code.constant(other, 1, rax); // leaves the flags as they are
      code.jumpIf(condition, yes);
      code.constant(other, 2, rax);
      code.place(yes);
      return other;
    });
    const results = vectorsOf(extension, [t, a, b], pieces);
    cases.forEach(({ pair: [x, y], condition }, i) => {
      const holds = condition === 'above' ? x > y : condition === 'aboveOrEqual' ? x >= y : !(x > y);
      expect(results[i]).toEqual(bitsOf(new Float32Array(lanes).fill(holds ? 1 : 2)));
    });
  });

  it('refuses a place in the code where an immediate follows', () => {
    const code = new Assembler(extension);
    expect(() => code.shuffle(0, 0, code.number(1) as never, 0)).toThrow('cannot name a place');
  });

  it('numbers are shared', () => {
    const code = new Assembler(extension);
    for (let i = 0; i < 5; i++) code.load(0, code.number(3));
    code.load(0, code.number(r11));
    const { length } = code;
    const padding = (4 * lanes - (length % (4 * lanes))) % (4 * lanes);
    expect(code.finish()).toHaveLength(length + padding + 2 * 4 * lanes);
  });
});
