import { Assembler, type Bits } from './assembler';
import { type Gpr, type Memory, r11, r12, r13, r15, r8, r9, rax, rbp, rbx, rcx, rdi, rdx, rsi, rsp, type VectorExtension } from './encoding'; // prettier-ignore
import { describeExtensions, emitCopyIn, stackAfter } from './spec-support';

/** Floats of a table on the stack, each a number of its own, in which every address that is tried lies. */
const tableLength = 2 ** 16;
const tableBytes = 4 * tableLength;
const middle = tableBytes / 2;

const bases = [rax, rbx, rsp, rbp, rsi, r8, r12, r13, r15];
const indices = [rax, rbp, rsi, r8, r12, r13, r15];
const scales = [1, 2, 4, 8] as const;
/** Around what one byte holds, plain and in units of 4, 16, 32 and 64 bytes. */
const displacements = [0, 4, -4, 124, 128, -128, -132, ...[4, 16, 32, 64].flatMap((unit) => [unit, -unit, 127 * unit, 128 * unit, -128 * unit, -129 * unit, 127 * unit + 4]), 100_000, -100_000]; // prettier-ignore

const forms: Memory[] = [
  ...bases.flatMap((base) => displacements.map((displacement) => ({ base, displacement }))),
  ...bases.flatMap((base) => displacements.map((displacement) => ({ base, index: r12, scale: 4 as const, displacement }))),
  ...bases.flatMap((base) => indices.flatMap((index) => scales.flatMap((scale) => [0, 64, -4].map((displacement) => ({ base, index, scale, displacement }))))), // prettier-ignore
].filter(({ base, index }: Memory) => base !== index && !(base === rsp && index === undefined)); // prettier-ignore

/** Registers that no form uses: where results go, the address by another way, and work. */
const [result, direct, work, lowWork] = [rdi, rdx, r11, rcx];

interface Instruction {
  readonly name: string;
  /** Words of 4 bytes of the result that count. */
  readonly words: number;
  /** Leaves what it finds in `place` at `result`. Floats that it needs besides are those at `direct`, 256 bytes on. */
  emit(code: Assembler, place: Memory, register: number): void;
  /** From the floats at the place, and those 256 bytes on. */
  expected(found: Float32Array, besides: Float32Array): ArrayBufferLike;
}

const besides = { base: direct, displacement: 256 };

const floats = (values: ArrayLike<number>): ArrayBufferLike => Float32Array.from(values).buffer;
const found = (words: number): Pick<Instruction, 'words' | 'expected'> => ({
  words,
  expected: (values) => floats(values.slice(0, words)),
});

/** Reading ones leave what they read at `result`; writing ones write the float(s) at `besides`, which are then read directly. */
const vectorInstructions = (extension: VectorExtension): Instruction[] => {
  const lanes = extension === 'avx512' ? 16 : 8;
  const widths: readonly Bits[] = extension === 'avx512' ? [128, 256, 512] : [128, 256];
  const mask = extension === 'avx512' ? 3 : 14;
  return [
    ...widths.flatMap((bits): Instruction[] => [
      {
        name: `load ${bits}`,
        ...found(bits / 32),
        emit: (code, place, register) => {
          code.load(register, place, bits);
          code.store({ base: result }, register);
        },
      },
      {
        name: `store ${bits}`,
        words: bits / 32,
        emit: (code, place, register) => {
          code.load(register, besides);
          code.store(place, register, bits);
          code.load(register, { base: direct });
          code.store({ base: result }, register);
        },
        expected: (_, values) => floats(values),
      },
      {
        name: `add ${bits}`,
        words: bits / 32,
        emit: (code, place, register) => {
          code.load(register, besides);
          code.op('add', register, register, place, bits);
          code.store({ base: result }, register);
        },
        expected: (values, more) => floats(values.map((value, i) => value + more[i])),
      },
    ]),
    {
      name: 'loadOne',
      ...found(1),
      emit: (code, place, register) => {
        code.loadOne(register, place);
        code.store({ base: result }, register);
      },
    },
    {
      name: 'storeOne',
      words: 2,
      emit: (code, place, register) => {
        code.load(register, besides);
        code.storeOne(place, register);
        code.load(register, { base: direct });
        code.store({ base: result }, register);
      },
      expected: ([, second], [first]) => floats([first, second]),
    },
    {
      name: 'broadcast',
      words: lanes,
      emit: (code, place, register) => {
        code.broadcast(register, place);
        code.store({ base: result }, register);
      },
      expected: ([first]) => floats(new Float32Array(lanes).fill(first)),
    },
    {
      name: 'loadBytes',
      words: lanes,
      emit: (code, place, register) => {
        code.loadBytes(register, place);
        code.store({ base: result }, register);
      },
      expected: (values) => Int32Array.from(new Int8Array(floats(values), 0, lanes)).buffer,
    },
    {
      name: 'opOne',
      words: 1,
      emit: (code, place, register) => {
        code.load(register, besides);
        code.opOne('mul', register, register, place);
        code.store({ base: result }, register);
      },
      expected: ([x], [y]) => floats([x * y]),
    },
    {
      name: 'sqrt',
      words: lanes,
      emit: (code, place, register) => {
        code.sqrt(register, place);
        code.store({ base: result }, register);
      },
      expected: (values) => floats(values.map(Math.sqrt)),
    },
    {
      name: 'compareOne',
      words: 1,
      emit: (code, place, register) => {
        const above = {};
        code.loadOne(register, besides);
        code.compareOne(register, place);
        code.jumpIf('above', above);
        code.zero(register);
        code.place(above);
        code.store({ base: result }, register);
      },
      expected: ([x], [y]) => floats([y > x ? y : 0]),
    },
    {
      name: 'loadMasked',
      words: lanes,
      emit: (code, place, register) => {
        code.setMask(mask, 3, lowWork);
        code.loadMasked(register, place, mask);
        code.store({ base: result }, register);
      },
      expected: (values) => floats(values.slice(0, lanes).map((value, lane) => (lane < 3 ? value : 0))),
    },
    {
      name: 'storeMasked',
      words: lanes,
      emit: (code, place, register) => {
        code.setMask(mask, 3, lowWork);
        code.load(register, besides);
        code.storeMasked(place, register, mask);
        code.load(register, { base: direct });
        code.store({ base: result }, register);
      },
      expected: (values, more) => floats(values.map((value, lane) => (lane < 3 ? more[lane] : value))),
    },
  ];
};

const longs = (values: ArrayLike<number>): BigInt64Array => new BigInt64Array(Float32Array.from(values).buffer.slice(0, 8)); // prettier-ignore
const keep = (code: Assembler, register: Gpr): void => code.movTo({ base: result }, register);

const generalInstructions: Instruction[] = [
  {
    name: 'mov',
    ...found(2),
    emit: (code, place) => {
      code.mov(work, place);
      keep(code, work);
    },
  },
  {
    name: 'movTo',
    words: 3,
    emit: (code, place) => {
      code.mov(work, besides);
      code.movTo(place, work);
      code.load(0, { base: direct }, 128);
      code.store({ base: result }, 0, 128);
    },
    expected: ([, , third], [first, second]) => floats([first, second, third]),
  },
  {
    name: 'movTo32',
    words: 2,
    emit: (code, place) => {
      code.mov(work, besides);
      code.movTo32(place, work);
      code.load(0, { base: direct }, 128);
      code.store({ base: result }, 0, 128);
    },
    expected: ([, second], [first]) => floats([first, second]),
  },
  {
    name: 'movInt32',
    words: 2,
    emit: (code, place) => {
      code.movInt32(work, place);
      keep(code, work);
    },
    expected: ([first]) => BigInt64Array.of(BigInt(new Int32Array(floats([first]))[0])).buffer,
  },
  {
    name: 'lea',
    words: 2,
    emit: (code, place) => {
      code.lea(work, place);
      code.subGpr(work, direct);
      keep(code, work);
    },
    expected: () => BigInt64Array.of(0n).buffer,
  },
  {
    name: 'addGpr',
    words: 2,
    emit: (code, place) => {
      code.movImmediate(lowWork, 77);
      code.addGpr(lowWork, place);
      keep(code, lowWork);
    },
    expected: (values) => BigInt64Array.of(longs(values)[0] + 77n).buffer,
  },
  {
    name: 'subGpr',
    words: 2,
    emit: (code, place) => {
      code.movImmediate(work, 77);
      code.subGpr(work, place);
      keep(code, work);
    },
    expected: (values) => BigInt64Array.of(77n - longs(values)[0]).buffer,
  },
  {
    name: 'compare',
    words: 2,
    emit: (code, place) => {
      const equal = {};
      code.mov(work, { base: direct });
      code.compare(work, place);
      code.jumpIf('equal', equal);
      code.movImmediate(work, 0);
      code.place(equal);
      keep(code, work);
    },
    expected: (values) => longs(values).buffer,
  },
  ...([1, 2] as const).map((level): Instruction => ({
    name: `prefetch into level ${level}`,
    words: 2,
    emit: (code, place) => {
      code.prefetch(place, level);
      code.movImmediate(work, 5);
      keep(code, work);
    },
    expected: () => BigInt64Array.of(5n).buffer,
  })),
];

/** Where the nth form leads, in bytes from the beginning of the table; from rsp on an index must get there alone. */
function placeOf({ base, displacement = 0 }: Memory, nth: number): number {
  const at = middle + 4 * (nth % 97);
  return base === rsp && (at - displacement) % 8 !== 0 ? at + 4 : at;
}

/** The table's nth float; the sign and the last digits change from one to the next. */
const entry = (nth: number): number => 1 + nth / tableLength;

function check(extension: VectorExtension, instruction: Instruction): void {
  const registers = extension === 'avx512' ? [2, 13, 20, 31] : [2, 13];
  const stride = 64;
  const table = Float32Array.from({ length: tableLength }, (_, i) => entry(i));
  const resultBytes = forms.length * stride;
  const output = stackAfter(extension, { bytes: resultBytes, more: 2 * tableBytes }, (code) => {
    for (const copy of [0, tableBytes]) emitCopyIn(code, table, resultBytes + copy);
    forms.forEach((form, nth) => {
      const { base, index, scale = 1, displacement = 0 } = form;
      const at = resultBytes + placeOf(form, nth);
      code.lea(result, { base: rsp, displacement: nth * stride });
      code.lea(direct, { base: rsp, displacement: at });
      let rest = at - displacement;
      if (index !== undefined) {
        // All of it where rsp is the base, which stays as it is.
        const share = base === rsp ? rest / scale : nth % 2 === 0 ? 40 : -24;
        code.movImmediate(index, share);
        rest -= share * scale;
      }
      if (base !== rsp) code.lea(base, { base: rsp, displacement: rest });
      instruction.emit(code, form, registers[nth % registers.length]);
      restore(code);
    });
  });
  const wrong = forms.filter((form, nth) => {
    const first = placeOf(form, nth) / 4;
    const fromTable = (at: number): Float32Array => Float32Array.from({ length: 16 }, (_, i) => entry(at + i));
    const expected = instruction.expected(fromTable(first), fromTable(first + 64));
    const bytes = 4 * instruction.words;
    return !Buffer.from(output, nth * stride, bytes).equals(Buffer.from(expected, 0, bytes));
  });
  expect(wrong).toEqual([]);
}

/** Puts the table's numbers back where an instruction may have written. */
function restore(code: Assembler): void {
  for (let at = 0; at < 64; at += 4 * code.lanes) {
    code.load(0, { base: direct, displacement: tableBytes + at });
    code.store({ base: direct, displacement: at }, 0);
  }
}

describeExtensions('addresses in vector instructions', (extension) => {
  it.each(vectorInstructions(extension))('$name', (instruction) => check(extension, instruction));
});

describeExtensions('addresses in general instructions', (extension) => {
  it.each(generalInstructions)('$name', (instruction) => check(extension, instruction));
});

it('rsp is no index', () => {
  expect(() => new Assembler('avx2').load(0, { base: rax, index: rsp })).toThrow('rsp cannot be an index');
});

it('a displacement in units takes one byte, any other four', () => {
  const bytes = (extension: VectorExtension, displacement: number): number => {
    const code = new Assembler(extension);
    code.load(0, { base: r9, displacement });
    return code.length;
  };
  expect([0, 64, 127 * 64, -128 * 64, 4, 128 * 64].map((at) => bytes('avx512', at))).toEqual([6, 7, 7, 7, 10, 10]);
  expect([0, 64, 127, -128, 128].map((at) => bytes('avx2', at))).toEqual([5, 6, 6, 6, 9]);
});
