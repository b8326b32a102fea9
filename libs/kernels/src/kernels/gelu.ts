/**
 * The Gaussian error linear unit in its tanh form and its gradient (Hendrycks and Gimpel 2016):
 *   y = x σ(2u), u = √(2/π) (x + 0.044715 x³);   dy/dx = σ + y (1 − σ) · 2 du/dx
 */
import { type Assembler } from '../assembler';
import { r8, r9, rax, rcx, rdx, rsi, type Vec, type VectorExtension } from '../encoding';
import { assembleKernel, type Kernel } from '../kernel';
import {
  blocksOf,
  emitRow,
  emitRows,
  emitZeros,
  loadPart,
  loadPointers,
  type Matrix,
  setTailMask,
  storePart,
  sumPhase,
} from '../rows';
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

/** x [N, C], dy [N, C] → dx [N, C], the sums of its columns [C], and those of blocks of rows */
export function geluGradientKernel(extension: VectorExtension, { rows, columns }: Matrix): Kernel {
  const blocks = blocksOf({ rows, columns });
  const stride = 4 * columns;
  const [x, dy, dx, sums] = [rdx, rcx, r8, r9];
  const moving = [x, dy, dx].map((base) => ({ base, stride }));
  const emit = (code: Assembler): void => {
    const [value, slope, gate, square, a, b] = [0, 1, 2, 3, 4, 5];
    loadPointers(code, [x, dy, dx, rax, sums]);
    code.mulImmediate(rax, rsi, stride);
    code.addGpr(sums, rax);
    setTailMask(code, columns);
    emitZeros(code, { base: sums, columns, scratch: value });
    emitRows(code, { rows, blocks, moving }, () => {
      emitRow(code, { columns, unrolled: 1 }, (part) => {
        loadPart(code, value, { base: x, part });
        loadPart(code, slope, { base: dy, part });
        emitGeluGate(code, value, { gate, square, a, b });
        code.load(a, code.number(6 * scale * cubic));
        code.op('fma213', a, square, code.number(2 * scale)); // 2 du/dx
        code.op('mul', b, value, gate); // y
        code.op('fnma231', b, b, gate); // y (1 − σ)
        code.op('fma231', gate, a, b);
        code.op('mul', gate, gate, slope);
        storePart(code, gate, { base: dx, part });
        loadPart(code, slope, { base: sums, part });
        code.op('add', slope, slope, gate);
        storePart(code, slope, { base: sums, part });
      });
    });
  };
  return assembleKernel(extension, {
    name: 'GeluGradient',
    inPlace: true,
    inputs: ['float32', 'float32'],
    outputs: [[rows, columns], [columns], [blocks.count, columns]].map((shape) => ({ type: 'float32', shape })),
    phases: [
      { tasks: blocks.count, emit },
      sumPhase({ source: 4, target: 3, blocks: blocks.count, stride: columns, columns }),
    ],
  });
}
