import { type Assembler } from './assembler';
import { type Vec } from './encoding';

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
