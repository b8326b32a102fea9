/**
 * Loops over the long arrays of an optimiser, as machine code on the arrays themselves. One thread is enough: measured, two are no
 * faster, because memory is what limits both.
 */
import { type Assembler } from './assembler';
import {
  type Label,
  r10,
  r8,
  r9,
  rax,
  rcx,
  rdi,
  rdx,
  rsi,
  type Gpr,
  type Memory,
  type Vec,
  type VectorExtension,
} from './encoding';
import { addressOf, callKernel, placeCode } from './executable';
import { assembleKernel } from './kernel';
import { vectorExtensions } from './processor';

/** Words of 8 bytes in the table that code is entered with: four arrays, then these. */
const word = { constants: 4, length: 5, results: 6 } as const;
const inTable = (name: keyof typeof word): Memory => ({ base: rdi, displacement: 8 * word[name] });
const arrayRegisters: readonly Gpr[] = [rdx, rcx, r8, r9];
/** Counts the bytes that are done. */
const at = r10;

interface SweepCode {
  readonly arrays: number;
  readonly constants: number;
  /**
   * Emits the work on a whole vector or on a single float. Constants stand in the registers from `firstConstant` on, in every lane.
   */
  body(code: Assembler, each: Each): void;
  /** Registers that add up the result, in double precision. */
  readonly sums?: readonly Vec[];
}

interface Each {
  load(target: Vec, array: number): void;
  store(array: number, source: Vec): void;
}

const firstConstant = 7;

const [beta1, share1, beta2, share2, scale, rate, inverseRoot, epsilon, keep] = Array.from({ length: 9 }, (_, i) => firstConstant + i); // prettier-ignore

/** AdamW on weights, gradients, first and second moment; the order of the operations is that of sweep.wat. */
const adamw: SweepCode = {
  arrays: 4,
  constants: 9,
  body: (code, { load, store }) => {
    const [w, g, m, v, a] = [0, 1, 2, 3, 4];
    load(g, 1);
    code.op('mul', g, g, scale);
    load(m, 2);
    code.op('mul', m, m, beta1);
    code.op('mul', a, g, share1);
    code.op('add', m, m, a);
    store(2, m);
    load(v, 3);
    code.op('mul', v, v, beta2);
    code.op('mul', a, g, share2);
    code.op('mul', a, a, g);
    code.op('add', v, v, a);
    store(3, v);
    code.sqrt(v, v);
    code.op('mul', v, v, inverseRoot);
    code.op('add', v, v, epsilon);
    code.op('mul', m, m, rate);
    code.op('div', m, m, v);
    load(w, 0);
    code.op('mul', w, w, keep);
    code.op('sub', w, w, m);
    store(0, w);
  },
};

/** average ← average + share · (parameters − average) */
const average: SweepCode = {
  arrays: 2,
  constants: 1,
  body: (code, { load, store }) => {
    load(0, 0);
    load(1, 1);
    code.op('sub', 1, 1, 0);
    code.op('mul', 1, 1, firstConstant);
    code.op('add', 0, 0, 1);
    store(0, 0);
  },
};

/** total ← total + other */
const accumulate: SweepCode = {
  arrays: 2,
  constants: 0,
  body: (code, { load, store }) => {
    load(0, 0);
    load(1, 1);
    code.op('add', 0, 0, 1);
    store(0, 0);
  },
};

/** Σ x² in double precision. */
const squares = {
  arrays: 1,
  constants: 0,
  sums: [4, 5],
  body: (code, { load }) => {
    load(0, 0);
    code.upperHalf(1, 0);
    for (const half of [0, 1]) {
      code.toDouble(half, half);
      code.opDouble('mul', half, half, half);
      code.opDouble('add', 4 + half, 4 + half, half);
    }
  },
} as const satisfies SweepCode;

function emitSweep(code: Assembler, { arrays: count, constants, sums = [], body }: SweepCode): void {
  const [next, tail, single, done]: Label[] = [{}, {}, {}, {}];
  const left = rsi;
  const arrays = arrayRegisters.slice(0, count);
  const place = (array: number): Memory => ({ base: arrays[array], index: at });
  arrays.forEach((register, i) => code.mov(register, { base: rdi, displacement: 8 * i }));
  code.mov(rax, inTable('constants'));
  for (let i = 0; i < constants; i++) code.broadcast(firstConstant + i, { base: rax, displacement: 4 * i });
  sums.forEach((sum) => code.zero(sum));
  code.mov(left, inTable('length'));
  code.movImmediate(at, 0);
  code.addImmediate(left, -code.lanes);
  code.jumpIf('less', tail);
  code.align(32);
  code.place(next);
  body(code, {
    load: (target, array) => code.load(target, place(array)),
    store: (array, source) => code.store(place(array), source),
  });
  code.addImmediate(at, 4 * code.lanes);
  code.addImmediate(left, -code.lanes);
  code.jumpIf('greaterOrEqual', next);
  code.place(tail);
  code.addImmediate(left, code.lanes);
  code.compareImmediate(left, 0);
  code.jumpIf('equal', done);
  code.place(single);
  body(code, {
    load: (target, array) => code.loadOne(target, place(array)),
    store: (array, source) => code.storeOne(place(array), source),
  });
  code.addImmediate(at, 4);
  code.addImmediate(left, -1);
  code.jumpIf('greater', single);
  code.place(done);
  code.mov(rax, inTable('results'));
  sums.forEach((sum, i) => code.store({ base: rax, displacement: 4 * code.lanes * i }, sum));
}

/** What a sweep is given: `length` floats of each array. */
interface Call {
  readonly arrays: readonly Float32Array[];
  readonly length: number;
  readonly constants?: readonly number[];
}

export interface AdamArrays {
  readonly parameters: Float32Array;
  readonly gradients: Float32Array;
  readonly firstMoment: Float32Array;
  readonly secondMoment: Float32Array;
}

export interface AdamConstants {
  readonly beta1: number;
  readonly beta2: number;
  readonly gradientScale: number;
  readonly rate: number;
  readonly inverseRoot: number;
  readonly epsilon: number;
  readonly keep: number;
}

/** Loops over arrays of one length, in place. */
export interface Sweeps {
  /** w ← keep · w − rate · m / (√v · inverseRoot + ε), after m ← β₁ m + (1 − β₁) g and v ← β₂ v + (1 − β₂) g², g being scaled. */
  adamw(arrays: AdamArrays, constants: AdamConstants): void;
  /** average ← average + share · (parameters − average) */
  average(input: { average: Float32Array; parameters: Float32Array; share: number }): void;
  /** total ← total + other */
  accumulate(total: Float32Array, other: Float32Array): void;
  /** Σ x² in double precision; NaN and infinities come through. */
  squares(x: Float32Array): number;
}

let placed: Sweeps | undefined;

/** The sweeps as machine code, or undefined where there is none. Their arrays must lie in buffers of 64 bytes or more: V8 moves smaller ones. */
export function machineSweeps(): Sweeps | undefined {
  const [extension] = vectorExtensions();
  if (extension) placed ??= placeSweeps(extension);
  return placed;
}

/** Their code stays in memory as long as the process lives. */
export function placeSweeps(extension: VectorExtension): Sweeps {
  const sources = { adamw, average, accumulate, squares };
  type Name = keyof typeof sources;
  const names = Object.keys(sources) as Name[];
  const { code, phases } = assembleKernel(extension, {
    name: 'Sweeps',
    inputs: [],
    outputs: [],
    phases: names.map((name) => ({ tasks: 1, emit: (code) => emitSweep(code, sources[name]) })),
  });
  const { address } = placeCode(code);
  // Never arrays of few bytes, which V8 moves.
  const numbers = new Float32Array(new ArrayBuffer(256));
  const doubles = extension === 'avx512' ? 8 : 4;
  const results = new Float64Array(new ArrayBuffer(256), 0, squares.sums.length * doubles);
  const table = new BigUint64Array(new ArrayBuffer(256));
  table[word.constants] = addressOf(numbers);
  table[word.results] = addressOf(results);
  const run = (name: Name, { arrays, length, constants = [] }: Call): Float64Array => {
    const short = arrays.find((array) => array.length < length);
    if (short) throw new RangeError(`${name}: an array of ${short.length} floats where there are ${length}`);
    numbers.set(constants);
    arrays.forEach((array, i) => (table[i] = addressOf(array)));
    table[word.length] = BigInt(length);
    callKernel(address + BigInt(phases[names.indexOf(name)].entry), table);
    return results;
  };
  return {
    adamw: ({ parameters, gradients, firstMoment, secondMoment }, { beta1, beta2, gradientScale, ...rest }) => {
      const { rate, inverseRoot, epsilon, keep } = rest;
      run('adamw', {
        arrays: [parameters, gradients, firstMoment, secondMoment],
        length: parameters.length,
        constants: [beta1, 1 - beta1, beta2, 1 - beta2, gradientScale, rate, inverseRoot, epsilon, keep],
      });
    },
    average: ({ average, parameters, share }) =>
      void run('average', { arrays: [average, parameters], length: average.length, constants: [share] }),
    accumulate: (total, other) => void run('accumulate', { arrays: [total, other], length: total.length }),
    squares: (x) => run('squares', { arrays: [x], length: x.length }).reduce((sum, one) => sum + one, 0),
  };
}
