import {
  evex,
  general,
  type Gpr,
  type Label,
  int32Bytes,
  isMemory,
  type Memory,
  type Operand,
  type Vec,
  type VectorExtension,
  type VectorOpcode,
  type VectorOperands,
  vex,
} from './encoding';

export type Condition = keyof typeof conditions;
const conditions = { below: 2, aboveOrEqual: 3, equal: 4, notEqual: 5, belowOrEqual: 6, above: 7, less: 12, greaterOrEqual: 13, lessOrEqual: 14, greater: 15 }; // prettier-ignore

const opcodes = {
  load: { prefix: 'none', map: '0F', opcode: 0x10 },
  store: { prefix: 'none', map: '0F', opcode: 0x11 },
  loadOne: { prefix: 'F3', map: '0F', opcode: 0x10, unit: 4 },
  storeOne: { prefix: 'F3', map: '0F', opcode: 0x11, unit: 4 },
  broadcast: { prefix: '66', map: '0F38', opcode: 0x18, unit: 4 },
  add: { prefix: 'none', map: '0F', opcode: 0x58 },
  mul: { prefix: 'none', map: '0F', opcode: 0x59 },
  sub: { prefix: 'none', map: '0F', opcode: 0x5c },
  min: { prefix: 'none', map: '0F', opcode: 0x5d },
  div: { prefix: 'none', map: '0F', opcode: 0x5e },
  max: { prefix: 'none', map: '0F', opcode: 0x5f },
  compareOne: { prefix: 'none', map: '0F', opcode: 0x2e, unit: 4 },
  sqrt: { prefix: 'none', map: '0F', opcode: 0x51 },
  fma231: { prefix: '66', map: '0F38', opcode: 0xb8 },
  fma213: { prefix: '66', map: '0F38', opcode: 0xa8 },
  fnma231: { prefix: '66', map: '0F38', opcode: 0xbc },
  fms231: { prefix: '66', map: '0F38', opcode: 0xba },
  xor: { prefix: '66', map: '0F', opcode: 0xef },
  and: { prefix: '66', map: '0F', opcode: 0xdb },
  toInt: { prefix: '66', map: '0F', opcode: 0x5b },
  toFloat: { prefix: 'none', map: '0F', opcode: 0x5b },
  bytesToInts: { prefix: '66', map: '0F38', opcode: 0x21, unit: 16 },
  addInt: { prefix: '66', map: '0F', opcode: 0xfe },
  shiftInt: { prefix: '66', map: '0F', opcode: 0x72 },
  round: { prefix: '66', map: '0F3A', opcode: 0x08 },
  fromGpr: { prefix: '66', map: '0F', opcode: 0x6e, unit: 4 },
  upperHalf512: { prefix: '66', map: '0F3A', opcode: 0x1b, wide: true, unit: 32 },
  upperHalf256: { prefix: '66', map: '0F3A', opcode: 0x19, unit: 16 },
  shuffle: { prefix: 'none', map: '0F', opcode: 0xc6 },
  unpackLow: { prefix: 'none', map: '0F', opcode: 0x14 },
  unpackHigh: { prefix: 'none', map: '0F', opcode: 0x15 },
  unpackLow64: { prefix: '66', map: '0F', opcode: 0x14, wide: true },
  unpackHigh64: { prefix: '66', map: '0F', opcode: 0x15, wide: true },
  shuffleQuarters512: { prefix: '66', map: '0F3A', opcode: 0x23 },
  shuffleHalves256: { prefix: '66', map: '0F3A', opcode: 0x06 },
  toDouble: { prefix: 'none', map: '0F', opcode: 0x5a },
  addDouble: { prefix: '66', map: '0F', opcode: 0x58, wide: true },
  mulDouble: { prefix: '66', map: '0F', opcode: 0x59, wide: true },
  scale: { prefix: '66', map: '0F38', opcode: 0x2c },
  blend256: { prefix: '66', map: '0F3A', opcode: 0x4a },
  maskedLoad256: { prefix: '66', map: '0F38', opcode: 0x2c },
  maskedStore256: { prefix: '66', map: '0F38', opcode: 0x2e },
  dotBfloat16: { prefix: 'F3', map: '0F38', opcode: 0x52 },
  toBfloat16: { prefix: 'F2', map: '0F38', opcode: 0x72 },
  permuteWords: { prefix: '66', map: '0F38', opcode: 0x8d, wide: true },
} as const satisfies Record<string, VectorOpcode>;

/** Binary instructions, dst = a op b, and accumulating ones, dst = dst op (a, b). */
type Arithmetic = 'add' | 'mul' | 'sub' | 'min' | 'div' | 'max' | 'fma231' | 'fma213' | 'fnma231' | 'fms231' | 'xor' | 'and' | 'addInt' | 'unpackLow' | 'unpackHigh' | 'unpackLow64' | 'unpackHigh64' | 'scale'; // prettier-ignore

export type Bits = 128 | 256 | 512;

/**
 * Collects machine code. Vector instructions work on whole registers of the extension unless told how many bits; what is named
 * `One` is a single float. Nothing is checked against the processor here: see `processor.ts`.
 */
export class Assembler {
  private readonly bytes: number[] = [];
  private readonly constants = new Map<number, Label>();
  private readonly vectors: { readonly bytes: Uint8Array; readonly label: Label }[] = [];
  /** Where lanes that are selected, then as many that are not, stand in memory. */
  private maskTable: Label | undefined;
  private readonly jumps: { readonly at: number; readonly target: Label }[] = [];
  readonly bits: 256 | 512;
  /** Floats in a vector register. */
  readonly lanes: 8 | 16;
  /** Vector registers. */
  readonly registers: 16 | 32;

  constructor(readonly extension: VectorExtension) {
    this.bits = extension === 'avx512' ? 512 : 256;
    this.lanes = extension === 'avx512' ? 16 : 8;
    this.registers = extension === 'avx512' ? 32 : 16;
  }

  /** The code; throws for a jump to a label that was never placed. */
  finish(): Uint8Array {
    if (this.maskTable && this.maskTable.position === undefined) {
      this.place(this.maskTable);
      this.emit(Array.from({ length: 8 * this.lanes }, (_, i) => (i < 4 * this.lanes ? 255 : 0)));
    }
    for (const [bits, label] of this.constants) {
      this.align(4 * this.lanes);
      this.place(label);
      for (let lane = 0; lane < this.lanes; lane++) this.emit(int32Bytes(bits));
    }
    this.constants.clear();
    for (const { bytes, label } of this.vectors.splice(0)) {
      this.align(4 * this.lanes);
      this.place(label);
      this.emit([...bytes]);
    }
    const code = Uint8Array.from(this.bytes);
    const view = new DataView(code.buffer);
    for (const { at, target } of this.jumps) {
      if (target.position === undefined) throw new Error('A jump leads to a label that has no place');
      view.setInt32(at, target.position - (at + 4), true);
    }
    return code;
  }

  get length(): number {
    return this.bytes.length;
  }

  place(label: Label): void {
    label.position = this.bytes.length;
  }

  /** Starts at a multiple of `boundary` bytes, as loops are best. */
  align(boundary: number): void {
    while (this.bytes.length % boundary !== 0) this.emit([0x90]);
  }

  // General instructions, 64 bits.

  mov(target: Gpr, source: Gpr | Memory): void {
    this.emit(general([0x8b], target, source));
  }

  movTo(target: Memory, source: Gpr): void {
    this.emit(general([0x89], source, target));
  }

  /** The lower half of `source` to four bytes of memory. */
  movTo32(target: Memory, source: Gpr): void {
    const [rex, ...rest] = general([0x89], source, target);
    this.emit([rex & ~8, ...rest]);
  }

  movImmediate(target: Gpr, value: number | bigint): void {
    const wide = BigInt.asUintN(64, BigInt(value));
    const bytes = Array.from({ length: 8 }, (_, i) => Number((wide >> BigInt(8 * i)) & 255n));
    this.emit([0x48 | (target >> 3), 0xb8 | (target & 7), ...bytes]);
  }

  /** The lower half of `target` from four bytes of memory, signed. */
  movInt32(target: Gpr, source: Memory): void {
    this.emit(general([0x63], target, source));
  }

  lea(target: Gpr, source: Memory): void {
    this.emit(general([0x8d], target, source));
  }

  addGpr(target: Gpr, source: Gpr | Memory): void {
    this.emit(general([0x03], target, source));
  }

  subGpr(target: Gpr, source: Gpr | Memory): void {
    this.emit(general([0x2b], target, source));
  }

  addImmediate(target: Gpr, value: number): void {
    if (value !== 0) this.emit([...general([0x81], 0, target), ...int32Bytes(value)]);
  }

  mulImmediate(target: Gpr, source: Gpr, value: number): void {
    this.emit([...general([0x69], target, source), ...int32Bytes(value)]);
  }

  /** rax, rdx = quotient and remainder of rax by `divisor`, unsigned. */
  divide(divisor: Gpr): void {
    this.emit(general([0x31], 2, 2));
    this.emit(general([0xf7], 6, divisor));
  }

  andImmediate(target: Gpr, value: number): void {
    this.emit([...general([0x81], 4, target), ...int32Bytes(value)]);
  }

  compare(left: Gpr, right: Gpr | Memory): void {
    this.emit(general([0x3b], left, right));
  }

  compareImmediate(left: Gpr, value: number): void {
    this.emit([...general([0x81], 7, left), ...int32Bytes(value)]);
  }

  jump(target: Label): void {
    this.emit([0xe9, 0, 0, 0, 0]);
    this.jumps.push({ at: this.bytes.length - 4, target });
  }

  jumpIf(condition: Condition, target: Label): void {
    this.emit([0x0f, 0x80 | conditions[condition], 0, 0, 0, 0]);
    this.jumps.push({ at: this.bytes.length - 4, target });
  }

  /** target = the address of `place`. */
  address(target: Gpr, place: Label): void {
    this.emit([0x48 | ((target >> 3) << 2), 0x8d, ((target & 7) << 3) | 5, 0, 0, 0, 0]);
    this.jumps.push({ at: this.bytes.length - 4, target: place });
  }

  /** Calls code of this assembler. */
  callLabel(target: Label): void {
    this.emit([0xe8, 0, 0, 0, 0]);
    this.jumps.push({ at: this.bytes.length - 4, target });
  }

  call(address: Gpr): void {
    this.emit([...(address >= 8 ? [0x41] : []), 0xff, 0xd0 | (address & 7)]);
  }

  push(register: Gpr): void {
    this.emit([...(register >= 8 ? [0x41] : []), 0x50 | (register & 7)]);
  }

  pop(register: Gpr): void {
    this.emit([...(register >= 8 ? [0x41] : []), 0x58 | (register & 7)]);
  }

  return(): void {
    this.emit([0xc3]);
  }

  /** Clears all but the lowest 128 bits of vectors: where they are in use, SSE code may be slow. */
  clearUpper(): void {
    this.emit([0xc5, 0xf8, 0x77]);
  }

  /** Copies rcx bytes from rsi to rdi; changes all three. */
  copyBytes(): void {
    this.emit([0xf3, 0xa4]);
  }

  prefetch(source: Memory, level: 1 | 2 = 1): void {
    const [rex, ...rest] = general([0x0f, 0x18], level, source);
    this.emit([rex & ~8, ...rest]);
  }

  raw(bytes: readonly number[]): void {
    this.emit(bytes);
  }

  // Vector instructions.

  load(target: Vec, source: Operand, bits: Bits = this.bits): void {
    this.vector(opcodes.load, { reg: target, rm: source, bits });
  }

  store(target: Memory, source: Vec, bits: Bits = this.bits): void {
    this.vector(opcodes.store, { reg: source, rm: target, bits });
  }

  loadOne(target: Vec, source: Memory): void {
    this.vector(opcodes.loadOne, { reg: target, rm: source, bits: 128 });
  }

  storeOne(target: Memory, source: Vec): void {
    this.vector(opcodes.storeOne, { reg: source, rm: target, bits: 128 });
  }

  /** Every lane = the float in memory, or in the lowest lane of a register. */
  broadcast(target: Vec, source: Operand): void {
    this.vector(opcodes.broadcast, { reg: target, rm: source, bits: this.bits });
  }

  /** Every lane = `value`; needs a general register. */
  constant(target: Vec, value: number, scratch: Gpr): void {
    this.constantBits(target, new Int32Array(Float32Array.of(value).buffer)[0], scratch);
  }

  constantBits(target: Vec, bits: number, scratch: Gpr): void {
    if (bits === 0) return this.zero(target);
    this.emit([...(scratch >= 8 ? [0x41] : []), 0xb8 | (scratch & 7), ...int32Bytes(bits)]);
    this.vector(opcodes.fromGpr, { reg: target, rm: scratch, bits: 128 });
    this.broadcast(target, target);
  }

  zero(target: Vec): void {
    this.vector(opcodes.xor, { reg: target, second: target, rm: target, bits: this.bits });
  }

  /** target = a op b, or target = target op (a, b) for the accumulating ones. */
  // eslint-disable-next-line max-params -- the order of every assembler
  op(name: Arithmetic, target: Vec, a: Vec, b: Operand, bits: Bits = this.bits): void {
    this.vector(opcodes[name], { reg: target, second: a, rm: b, bits });
  }

  /** On the lowest lane only. */
  // eslint-disable-next-line max-params -- the order of every assembler
  opOne(name: 'add' | 'mul' | 'sub' | 'div' | 'max' | 'min', target: Vec, a: Vec, b: Operand): void {
    this.vector({ ...opcodes[name], prefix: 'F3', unit: 4 }, { reg: target, second: a, rm: b, bits: 128 });
  }

  /** Compares the lowest lanes, for `jumpIf`: 'above' is a > b, and false where one is not a number. */
  compareOne(a: Vec, b: Operand): void {
    this.vector(opcodes.compareOne, { reg: a, rm: b, bits: 128 });
  }

  sqrt(target: Vec, source: Operand): void {
    this.vector(opcodes.sqrt, { reg: target, rm: source, bits: this.bits });
  }

  /** To the nearest integer, ties to even; stays a float. */
  round(target: Vec, source: Vec): void {
    this.vector(opcodes.round, { reg: target, rm: source, bits: this.bits, immediate: 0 });
  }

  toInt(target: Vec, source: Vec): void {
    this.vector(opcodes.toInt, { reg: target, rm: source, bits: this.bits });
  }

  toFloat(target: Vec, source: Vec): void {
    this.vector(opcodes.toFloat, { reg: target, rm: source, bits: this.bits });
  }

  /** As many bytes of memory as there are lanes, signed. */
  loadBytes(target: Vec, source: Memory): void {
    this.vector(opcodes.bytesToInts, { reg: target, rm: source, bits: this.bits });
  }

  /** The lanes of `low`, then those of `high`, in 16 bits each, rounded to nearest; denormals become zero. AVX512_BF16. */
  toBfloat16(target: Vec, low: Operand, high: Vec): void {
    this.vector(opcodes.toBfloat16, { reg: target, second: high, rm: low, bits: 512 });
  }

  /** Adds to each lane the products of its two pairs of numbers in bfloat16. AVX512_BF16. */
  dotBfloat16(target: Vec, a: Vec, b: Operand): void {
    this.vector(opcodes.dotBfloat16, { reg: target, second: a, rm: b, bits: 512 });
  }

  /** Word i of `target` = word indices[i] of `source`. AVX-512. */
  permuteWords(target: Vec, source: Vec, indices: Vec): void {
    this.vector(opcodes.permuteWords, { reg: target, second: indices, rm: source, bits: 512 });
  }

  shiftLeft(target: Vec, source: Vec, count: number): void {
    this.vector(opcodes.shiftInt, { reg: 6, second: target, rm: source, bits: this.bits, immediate: count });
  }

  /** Zeros come in from the left. */
  shiftRight(target: Vec, source: Vec, count: number): void {
    this.vector(opcodes.shiftInt, { reg: 2, second: target, rm: source, bits: this.bits, immediate: count });
  }

  // eslint-disable-next-line max-params -- the order of every assembler
  shuffle(target: Vec, a: Vec, b: Vec, pattern: number): void {
    this.vector(opcodes.shuffle, { reg: target, second: a, rm: b, bits: this.bits, immediate: pattern });
  }

  /** Quarters (AVX-512) or halves (AVX2) of a and b side by side. */
  // eslint-disable-next-line max-params -- the order of every assembler
  shuffleBlocks(target: Vec, a: Vec, b: Vec, pattern: number): void {
    const code = this.extension === 'avx512' ? opcodes.shuffleQuarters512 : opcodes.shuffleHalves256;
    this.vector(code, { reg: target, second: a, rm: b, bits: this.bits, immediate: pattern });
  }

  /** The sum or maximum of all lanes, in a fixed order, in the lowest lane of `target`. Changes `source` and `scratch`. */
  // eslint-disable-next-line max-params -- the order of every assembler
  reduce(name: 'add' | 'max', target: Vec, source: Vec, scratch: Vec): void {
    if (this.extension === 'avx512') {
      this.vector(opcodes.upperHalf512, { reg: source, rm: scratch, bits: 512, immediate: 1 });
      this.op(name, source, source, scratch, 256);
    }
    this.vector(opcodes.upperHalf256, { reg: source, rm: scratch, bits: 256, immediate: 1 });
    this.op(name, source, source, scratch, 128);
    this.vector(opcodes.shuffle, { reg: scratch, second: source, rm: source, bits: 128, immediate: 0b1110 });
    this.op(name, source, source, scratch, 128);
    this.vector(opcodes.shuffle, { reg: scratch, second: source, rm: source, bits: 128, immediate: 0b01 });
    this.opOne(name, target, source, scratch);
  }

  /** target = the upper half of the lanes of `source`. */
  upperHalf(target: Vec, source: Vec): void {
    const code = this.extension === 'avx512' ? opcodes.upperHalf512 : opcodes.upperHalf256;
    this.vector(code, { reg: source, rm: target, bits: this.bits, immediate: 1 });
  }

  /** target = the lower half of the lanes of `source`, in double precision. */
  toDouble(target: Vec, source: Vec): void {
    this.vector(opcodes.toDouble, { reg: target, rm: source, bits: this.bits });
  }

  /** On lanes in double precision, half as many. */
  // eslint-disable-next-line max-params -- the order of every assembler
  opDouble(name: 'add' | 'mul', target: Vec, a: Vec, b: Vec): void {
    const code = name === 'add' ? opcodes.addDouble : opcodes.mulDouble;
    this.vector(code, { reg: target, second: a, rm: b, bits: this.bits });
  }

  // Parts of vectors: the first `count` lanes, a mask made beforehand.

  /**
   * `mask` selects the first `count` lanes from now on. With AVX-512 it names a mask register, 1–7, else a vector register.
   * `scratch` is one of the first eight general registers.
   */
  setMask(mask: number, count: number, scratch: Gpr): void {
    if (this.extension === 'avx512') {
      this.emit([0xb8 | scratch, ...int32Bytes(2 ** count - 1)]);
      this.emit([0xc5, 0xf8, 0x92, 0xc0 | (mask << 3) | scratch]);
    } else {
      this.address(scratch, (this.maskTable ??= {}));
      this.load(mask, { base: scratch, displacement: 4 * (this.lanes - count) });
    }
  }

  /** Lanes that are left out become zero. */
  loadMasked(target: Vec, source: Memory, mask: number): void {
    if (this.extension === 'avx512')
      this.emit(evex(opcodes.load, { reg: target, rm: source, bits: 512, mask, zero: true }));
    else this.vector(opcodes.maskedLoad256, { reg: target, second: mask, rm: source, bits: 256 });
  }

  /** target = source in the lanes of the mask, zero in the others. */
  keepMasked(target: Vec, source: Vec, mask: number): void {
    if (this.extension === 'avx512')
      this.emit(evex(opcodes.load, { reg: target, rm: source, bits: 512, mask, zero: true }));
    else this.op('and', target, source, mask);
  }

  /** target = source in the lanes of the mask, `others` in the others. `target` and `source` must differ. */
  // eslint-disable-next-line max-params -- the order of every assembler
  blendMasked(target: Vec, source: Vec, others: Vec, mask: number): void {
    if (this.extension === 'avx512') {
      if (target !== others) this.load(target, others);
      this.emit(evex(opcodes.load, { reg: target, rm: source, bits: 512, mask }));
    } else {
      this.vector(opcodes.blend256, { reg: target, second: others, rm: source, bits: 256, immediate: mask << 4 });
    }
  }

  storeMasked(target: Memory, source: Vec, mask: number): void {
    if (this.extension === 'avx512')
      return this.emit(evex(opcodes.store, { reg: source, rm: target, bits: 512, mask }));
    this.vector(opcodes.maskedStore256, { reg: source, second: mask, rm: target, bits: 256 });
  }

  /** A vector in memory that holds `value` in every lane; an operand for instructions without an immediate. */
  number(value: number): Memory {
    return this.numberBits(new Int32Array(Float32Array.of(value).buffer)[0]);
  }

  numberBits(bits: number): Memory {
    const label = this.constants.get(bits) ?? {};
    this.constants.set(bits, label);
    return { base: 0, label };
  }

  /** A vector in memory that holds these values, one for each lane. */
  numbers(values: readonly number[]): Memory {
    return this.bytesOf(Float32Array.from(values));
  }

  /** The same of whole numbers of 16 bits, two for each lane. */
  words(values: readonly number[]): Memory {
    return this.bytesOf(Uint16Array.from(values));
  }

  private bytesOf({ buffer }: Float32Array<ArrayBuffer> | Uint16Array<ArrayBuffer>): Memory {
    const label: Label = {};
    this.vectors.push({ bytes: new Uint8Array(buffer), label });
    return { base: 0, label };
  }

  private vector(code: VectorOpcode, operands: VectorOperands): void {
    const { rm, immediate } = operands;
    this.emit(this.extension === 'avx512' ? evex(code, operands) : vex(code, operands));
    if (!isMemory(rm) || !rm.label) return;
    if (immediate !== undefined) throw new Error('An instruction with an immediate cannot name a place in the code');
    this.jumps.push({ at: this.bytes.length - 4, target: rm.label });
  }

  private emit(bytes: readonly number[]): void {
    for (const byte of bytes) this.bytes.push(byte);
  }
}
