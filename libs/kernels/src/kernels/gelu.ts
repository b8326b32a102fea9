/**
 * The Gaussian error linear unit in its tanh form and its gradient (Hendrycks and Gimpel 2016):
 *   y = x σ(2u), u = √(2/π) (x + 0.044715 x³);   dy/dx = σ + y (1 − σ) · 2 du/dx
 */
import { type Assembler } from '../assembler';
import { type Vec, type VectorExtension } from '../encoding';
import { type Kernel } from '../kernel';
import { emitExp } from '../mathematics';
import { elementwiseKernel } from './elementwise';

const scale = Math.sqrt(2 / Math.PI);
const cubic = 0.044715;

/** gate = σ(2u), and square = x²; changes `a` and `b`. */
export function emitGeluGate(
  code: Assembler,
  x: Vec,
  { gate, square, a, b }: Record<'gate' | 'square' | 'a' | 'b', Vec>,
): void {
  code.op('mul', square, x, x);
  code.load(gate, code.number(-2 * scale * cubic));
  code.op('fma213', gate, square, code.number(-2 * scale));
  code.op('mul', gate, gate, x); // −2u
  emitExp(code, gate, { a, b });
  code.load(a, code.number(1));
  code.op('add', gate, gate, a);
  code.op('div', gate, a, gate);
}

/** x → y, elements in any shape. */
export function geluKernel(extension: VectorExtension, shape: readonly number[]): Kernel {
  return elementwiseKernel(extension, { name: 'Gelu', shape, inputs: 1 }, (code, [x, y, gate, square, a, b]) => {
    emitGeluGate(code, x, { gate, square, a, b });
    code.op('mul', y, x, gate);
    return y;
  });
}

/** (x, dy) → dx */
export function geluGradientKernel(extension: VectorExtension, shape: readonly number[]): Kernel {
  return elementwiseKernel(
    extension,
    { name: 'GeluGradient', shape, inputs: 2 },
    (code, [x, dy, gate, square, a, b]) => {
      emitGeluGate(code, x, { gate, square, a, b });
      code.load(a, code.number(6 * scale * cubic));
      code.op('fma213', a, square, code.number(2 * scale)); // 2 du/dx
      code.op('mul', b, x, gate); // y
      code.op('fnma231', b, b, gate); // y (1 − σ)
      code.op('fma231', gate, a, b);
      code.op('mul', gate, gate, dy);
      return gate;
    },
  );
}
