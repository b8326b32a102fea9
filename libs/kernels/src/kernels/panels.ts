/**
 * A matrix laid out once for many products with few rows: panels of columns, each in the order of the depth, without gaps. Then a
 * product reads memory from one end to the other.
 */
import { r8, r9, rax, rbx, rcx, rdi, rdx, rsi, type VectorExtension } from '../encoding';
import { assembleKernel, type Kernel } from '../kernel';
import { type Precision, termsOf } from '../tile';
import { type Panel } from './packing';
import { layoutOf } from './packing-pairs';

export interface MatrixSpec {
  readonly inputs: number;
  readonly outputs: number;
  /** How the matrix is stored: [inputs, outputs] or [outputs, inputs]. */
  readonly order: 'inputs first' | 'outputs first';
  /** In which its panels hold it, in bfloat16 as pairs along the depth; by default float32. */
  readonly precision?: Precision;
}

/** The panels of a matrix. */
export interface Panels {
  readonly panel: Panel;
  /** Columns of a panel of full width. */
  readonly columns: number;
  /** Panels of full width. */
  readonly count: number;
  /** The last one, where it is narrower. */
  readonly last: Panel | undefined;
  /** Bytes of a panel of full width. */
  readonly bytes: number;
  /** Words of 4 bytes of all panels. */
  readonly length: number;
}

export interface PanelsSpec extends Omit<MatrixSpec, 'order'> {
  /**
   * Numbers of a column that share a scale, where they have 8 bits, and are signed. Behind so many rows, each panel then has what
   * the sums up to there are to be multiplied by: the ratio of the scales of this block and the next, and in the end the last scale.
   */
  readonly block?: number;
}

const vectors = 2;

export function panelsOf(extension: VectorExtension, { inputs, outputs, precision, block }: PanelsSpec): Panels {
  const lanes = extension === 'avx512' ? 16 : 8;
  const columns = vectors * lanes;
  const count = Math.floor(outputs / columns);
  const rest = outputs % columns;
  const lastVectors = Math.ceil(rest / lanes);
  const steps = Math.ceil(inputs / termsOf(precision));
  const columnBytes = block === undefined ? 4 * steps : inputs + 4 * Math.ceil(inputs / block);
  return {
    panel: { vectors, last: lanes },
    columns,
    count,
    last: rest > 0 ? { vectors: lastVectors, last: rest - (lastVectors - 1) * lanes } : undefined,
    bytes: columns * columnBytes,
    length: ((count * vectors + lastVectors) * lanes * columnBytes) / 4,
  };
}

/** w → its panels, one flat tensor; of pairs in bfloat16, a word each. */
export function packMatrixKernel(extension: VectorExtension, spec: MatrixSpec): Kernel {
  const { inputs, outputs, order, precision } = spec;
  const { panel, columns, count, last, bytes, length } = panelsOf(extension, spec);
  const layout = layoutOf(precision);
  const pack = order === 'inputs first' ? layout.rows : layout.columns;
  const stride = 4 * (order === 'inputs first' ? outputs : inputs);
  return assembleKernel(extension, {
    name: 'PackMatrix',
    inputs: ['float32'],
    outputs: [{ type: precision === 'bfloat16' ? 'int32' : 'float32', shape: [length] }],
    phases: [
      {
        tasks: count + (last ? 1 : 0),
        emit: (code) => {
          const end = {};
          const emitPack = (one: Panel): void =>
            pack(code, { panel: one, depth: inputs, stride }, { source: rax, target: rbx, counter: rcx, scratch: rdx });
          code.mov(r8, { base: rdi });
          code.mov(r9, { base: rdi, displacement: 8 });
          code.mulImmediate(rax, rsi, columns * (order === 'inputs first' ? 4 : stride));
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
