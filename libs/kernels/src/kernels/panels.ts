/**
 * A matrix laid out once for many products with few rows: panels of columns, each in the order of the depth, without gaps. Then a
 * product reads memory from one end to the other.
 */
import { r8, r9, rax, rbx, rcx, rdi, rdx, rsi, type VectorExtension } from '../encoding';
import { assembleKernel, type Kernel } from '../kernel';
import { packColumns, type Panel, packRows } from './packing';

export interface MatrixSpec {
  readonly inputs: number;
  readonly outputs: number;
  /** How the matrix is stored: [inputs, outputs] or [outputs, inputs]. */
  readonly order: 'inputs first' | 'outputs first';
}

/** The panels of a matrix. */
export interface Panels {
  readonly panel: Panel;
  /** Panels of full width. */
  readonly count: number;
  /** The last one, where it is narrower. */
  readonly last: Panel | undefined;
  /** Bytes of a panel of full width. */
  readonly bytes: number;
  /** Floats of all panels. */
  readonly length: number;
}

const vectors = 2;

export function panelsOf(extension: VectorExtension, { inputs, outputs }: Omit<MatrixSpec, 'order'>): Panels {
  const lanes = extension === 'avx512' ? 16 : 8;
  const width = vectors * lanes;
  const count = Math.floor(outputs / width);
  const rest = outputs % width;
  const lastVectors = Math.ceil(rest / lanes);
  return {
    panel: { vectors, last: lanes },
    count,
    last: rest > 0 ? { vectors: lastVectors, last: rest - (lastVectors - 1) * lanes } : undefined,
    bytes: width * inputs * 4,
    length: (count * vectors + lastVectors) * lanes * inputs,
  };
}

/** w → its panels, one flat tensor. */
export function packMatrixKernel(extension: VectorExtension, spec: MatrixSpec): Kernel {
  const { inputs, outputs, order } = spec;
  const { panel, count, last, bytes, length } = panelsOf(extension, spec);
  const pack = order === 'inputs first' ? packRows : packColumns;
  const stride = 4 * (order === 'inputs first' ? outputs : inputs);
  const width = bytes / inputs; // of a panel's row, in bytes
  return assembleKernel(extension, {
    name: 'PackMatrix',
    inputs: ['float32'],
    outputs: [{ type: 'float32', shape: [length] }],
    phases: [
      {
        tasks: count + (last ? 1 : 0),
        emit: (code) => {
          const end = {};
          const emitPack = (one: Panel): void =>
            pack(code, { panel: one, depth: inputs, stride }, { source: rax, target: rbx, counter: rcx, scratch: rdx });
          code.mov(r8, { base: rdi });
          code.mov(r9, { base: rdi, displacement: 8 });
          code.mulImmediate(rax, rsi, order === 'inputs first' ? width : (width / 4) * stride);
          code.addGpr(rax, r8);
          code.mulImmediate(rbx, rsi, bytes);
          code.addGpr(rbx, r9);
          if (last) {
            const full = {};
            code.compareImmediate(rsi, count);
            code.jumpIf('notEqual', full);
            emitPack(last);
            code.jump(end);
            code.place(full);
          }
          emitPack(panel);
          code.place(end);
        },
      },
    ],
  });
}
