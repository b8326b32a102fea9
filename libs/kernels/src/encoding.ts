/**
 * x86-64 machine code, instruction by instruction: what general and vector instructions look like as bytes.
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, chapter 2 (REX, VEX and EVEX prefixes).
 */

/** A general register by its number: 0 rax, 1 rcx, 2 rdx, 3 rbx, 4 rsp, 5 rbp, 6 rsi, 7 rdi, 8–15. */
export type Gpr = number;
/** A vector register by its number: 0–15, with AVX-512 0–31. */
export type Vec = number;

export const rax: Gpr = 0;
export const rcx: Gpr = 1;
export const rdx: Gpr = 2;
export const rbx: Gpr = 3;
export const rsp: Gpr = 4;
export const rbp: Gpr = 5;
export const rsi: Gpr = 6;
export const rdi: Gpr = 7;
export const [r8, r9, r10, r11, r12, r13, r14, r15]: Gpr[] = [8, 9, 10, 11, 12, 13, 14, 15];

/** A place in code or among its constants; the assembler fills the position in. */
export interface Label {
  position?: number;
}

/** base + index · scale + displacement, in bytes; or a place in the code. */
export interface Memory {
  readonly base: Gpr;
  /** Instead of all the rest. */
  readonly label?: Label;
  readonly index?: Gpr;
  readonly scale?: 1 | 2 | 4 | 8;
  readonly displacement?: number;
}

export type Operand = Vec | Memory;

/** The vector extension that code is assembled for. Both compute with fused multiply-add. */
export type VectorExtension = 'avx2' | 'avx512';

export const isMemory = (operand: number | Memory): operand is Memory => typeof operand === 'object';

const fitsByte = (value: number): boolean => value >= -128 && value <= 127;

const littleEndian = (value: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => (value >> (8 * i)) & 255);

/** @throws RangeError where a signed number of 32 bits cannot hold it */
export function int32Bytes(value: number): number[] {
  if ((value | 0) !== value) throw new RangeError(`${value} does not fit an instruction's 32 bits`);
  return littleEndian(value, 4);
}

/** ModRM, SIB and displacement of an operand. With EVEX, a displacement of one byte counts in units of `unit` bytes. */
export function modRm(reg: number, rm: number | Memory, unit = 1): number[] {
  const field = (reg & 7) << 3;
  if (!isMemory(rm)) return [0xc0 | field | (rm & 7)];
  const { base, index, scale = 1, displacement = 0, label } = rm;
  if (label) return [field | 5, 0, 0, 0, 0]; // relative to the next instruction; filled in later
  if (index === rsp) throw new RangeError('rsp cannot be an index');
  const short = displacement % unit === 0 && fitsByte(displacement / unit);
  const none = displacement === 0 && (base & 7) !== 5; // rbp and r13 without a displacement mean something else
  const mode = none ? 0 : short ? 0x40 : 0x80;
  const tail = none ? [] : short ? [(displacement / unit) & 255] : int32Bytes(displacement);
  if (index === undefined && (base & 7) !== 4) return [mode | field | (base & 7), ...tail];
  const sib = (Math.log2(scale) << 6) | (((index ?? 4) & 7) << 3) | (base & 7);
  return [mode | field | 4, sib, ...tail];
}

const high = (register: number): number => (register >> 3) & 1;

/** A general instruction on 64-bit registers: REX.W, opcode, operand. */
export function general(opcode: readonly number[], reg: number, rm: number | Memory): number[] {
  const [x, b] = isMemory(rm) ? [high(rm.index ?? 0), high(rm.base)] : [0, high(rm)];
  return [0x48 | (high(reg) << 2) | (x << 1) | b, ...opcode, ...modRm(reg, rm)];
}

/** What identifies a vector instruction. */
export interface VectorOpcode {
  /** Mandatory prefix. */
  readonly prefix: 'none' | '66' | 'F3' | 'F2';
  readonly map: '0F' | '0F38' | '0F3A';
  readonly opcode: number;
  /** EVEX.W; VEX ignores it in what we use. */
  readonly wide?: true;
  /** Bytes of a memory operand that is not a whole vector. */
  readonly unit?: number;
}

export interface VectorOperands {
  readonly reg: number;
  /** The middle operand; none by default. */
  readonly second?: number;
  readonly rm: Operand;
  readonly bits: 128 | 256 | 512;
  readonly immediate?: number;
  /** Mask register 1–7 of AVX-512. */
  readonly mask?: number;
  /** What the mask leaves out becomes zero, instead of staying as it is. */
  readonly zero?: boolean;
}

const prefixes = { none: 0, '66': 1, F3: 2, F2: 3 };
const maps = { '0F': 1, '0F38': 2, '0F3A': 3 };
const lengths = { 128: 0, 256: 1, 512: 2 };

/** A vector instruction with a VEX prefix (registers 0–15). */
export function vex(code: VectorOpcode, { reg, second = 0, rm, bits, immediate }: VectorOperands): number[] {
  const [x, b] = isMemory(rm) ? [high(rm.index ?? 0), high(rm.base)] : [0, high(rm)];
  return [
    0xc4,
    ((high(reg) ^ 1) << 7) | ((x ^ 1) << 6) | ((b ^ 1) << 5) | maps[code.map],
    ((~second & 15) << 3) | (lengths[bits] << 2) | prefixes[code.prefix],
    code.opcode,
    ...modRm(reg, rm),
    ...(immediate === undefined ? [] : [immediate]),
  ];
}

/** A vector instruction with an EVEX prefix (AVX-512; registers 0–31, masks). */
export function evex(code: VectorOpcode, operands: VectorOperands): number[] {
  const { reg, second = 0, rm, bits, immediate, mask = 0, zero = false } = operands;
  const [x, b] = isMemory(rm) ? [high(rm.index ?? 0), high(rm.base)] : [(rm >> 4) & 1, high(rm)];
  const inverted = (bit: number, place: number): number => ((bit & 1) ^ 1) << place;
  return [
    0x62,
    inverted(high(reg), 7) | inverted(x, 6) | inverted(b, 5) | inverted(reg >> 4, 4) | maps[code.map],
    (code.wide ? 0x80 : 0) | ((~second & 15) << 3) | 4 | prefixes[code.prefix],
    (zero ? 0x80 : 0) | (lengths[bits] << 5) | inverted(second >> 4, 3) | mask,
    code.opcode,
    ...modRm(reg, rm, code.unit ?? bits / 8),
    ...(immediate === undefined ? [] : [immediate]),
  ];
}
