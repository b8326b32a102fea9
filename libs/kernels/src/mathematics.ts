import { type Assembler } from './assembler';
import { type Operand, type Vec } from './encoding';

/**
 * x = eˣ, to about 1e-7 of itself; 0 from −104 on, and never infinite: what is above 88 counts as 88. NaN stays NaN. Changes `a` and `b`.
 * Method: eˣ = 2ⁿ eʳ with n the integer nearest to x / ln 2, and a polynomial for eʳ (Cephes' expf).
 */
export function emitExp(code: Assembler, x: Vec, { a: n, b: y }: { a: Vec; b: Vec }): void {
  // In this order the instructions let what is not a number through. 2ⁿ in two factors holds down to −170.
  code.load(n, code.number(88));
  code.op('min', x, n, x);
  code.load(n, code.number(-170));
  code.op('max', x, n, x);
  code.op('mul', n, x, code.number(Math.LOG2E));
  code.round(n, n);
  code.op('fnma231', x, n, code.number(0.693359375));
  code.op('fma231', x, n, code.number(2.1219444e-4)); // ln 2 in two parts: x = r
  code.load(y, code.number(1.98756915e-4));
  for (const coefficient of [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1, 1])
    code.op('fma213', y, x, code.number(coefficient));
  if (code.extension === 'avx512') {
    code.op('scale', x, y, n);
  } else {
    // 2ⁿ as 2^⌊n/2⌉ · 2^(n − ⌊n/2⌉), each of which is a number with the exponent put in place.
    code.op('mul', x, n, code.number(0.5));
    code.round(x, x);
    code.op('sub', n, n, x);
    for (const half of [x, n]) {
      code.toInt(half, half);
      code.op('addInt', half, half, code.numberBits(127));
      code.shiftLeft(half, half, 23);
      code.op('mul', y, y, half);
    }
    code.op('add', x, y, code.number(0));
  }
}

/**
 * x = 2ˣ for x ≤ 0, to about 1e-7 of itself; exactly 0 from −∞ on up to below −126 (AVX-512: −150). NaN stays NaN. `lowest`
 * holds `lowestPower`. Changes `a` and `b`.
 * Method: 2ˣ = 2ⁿ 2ʳ with n the integer nearest to x, and a polynomial for 2ʳ (Cephes' exp2f).
 */
export function emitPowerOfTwo(
  code: Assembler,
  x: Vec,
  { a: n, b: y, lowest, number = (value) => code.number(value) }: PowerRegisters,
): void {
  code.op('max', x, lowest, x); // gives its second operand where one is NaN
  code.round(n, x);
  code.op('sub', x, x, n);
  code.load(y, number(powerCoefficients[0]));
  for (const coefficient of powerCoefficients.slice(1)) code.op('fma213', y, x, number(coefficient));
  if (code.extension === 'avx512') {
    code.op('scale', x, y, n);
  } else {
    code.toInt(n, n);
    code.op('addInt', n, n, code.numberBits(127));
    code.shiftLeft(n, n, 23); // of −127 it makes 0
    code.op('mul', x, y, n);
  }
}

export interface PowerRegisters {
  readonly a: Vec;
  readonly b: Vec;
  readonly lowest: Vec;
  /** Where constants are, by default in memory. */
  readonly number?: (value: number) => Operand;
}

export const powerCoefficients: readonly number[] = [1.5353362e-4, 1.33988744e-3, 9.61843736e-3, 5.55033247e-2, 2.40226479e-1, 6.93147203e-1, 1]; // prettier-ignore

/** The least power that counts; in between, 2ⁿ has no normal number. */
export const lowestPower = (code: Assembler): number => (code.extension === 'avx512' ? -160 : -127);

/**
 * x = ln x for positive normal numbers, to about 1e-7; NaN and infinity give NaN. Changes `a`, `b` and `c`.
 * Method: x = 2ᵉ m with m between √½ and √2, and a polynomial for ln m (Cephes' logf).
 */
export function emitLog(code: Assembler, x: Vec, { a: e, b: y, c: square }: Record<'a' | 'b' | 'c', Vec>): void {
  const rootHalf = 0x3f3504f3;
  const one = 0x3f800000;
  code.op('sub', square, x, x); // 0, or NaN to be added at the end
  code.op('addInt', x, x, code.numberBits(one - rootHalf));
  code.shiftRight(e, x, 23);
  code.op('addInt', e, e, code.numberBits(-127));
  code.toFloat(e, e);
  code.op('and', x, x, code.numberBits(0x007fffff));
  code.op('addInt', x, x, code.numberBits(rootHalf));
  code.op('sub', x, x, code.number(1)); // m − 1
  code.op('add', e, e, square);
  code.op('mul', square, x, x);
  code.load(y, code.number(7.0376836292e-2));
  for (const coefficient of [
    -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1,
    -2.4999993993e-1, 3.3333331174e-1,
  ])
    // prettier-ignore
    code.op('fma213', y, x, code.number(coefficient));
  code.op('mul', y, y, x);
  code.op('mul', y, y, square);
  code.op('fma231', y, e, code.number(-2.1219444e-4));
  code.op('fma231', y, square, code.number(-0.5));
  code.op('add', x, x, y);
  code.op('fma231', x, e, code.number(0.693359375)); // ln 2 in two parts
}
