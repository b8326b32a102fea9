/**
 * Matrix products, C = op(A) op(B) (+ b, or D), for fixed shapes.
 *
 * Method (Goto and van de Geijn 2008): a task computes a block of C. Step by step along the depth it lays its part of B out in
 * panels, on its stack, where they stay in the cache; then tile after tile of A goes along them.
 * Every number of C is the sum of its terms in the order of the depth, step by step, whatever block, tile or thread it is in.
 * Leaves out: batches, and factors alpha and beta.
 */
import { type VectorExtension } from '../encoding';
import { assembleKernel, type Kernel } from '../kernel';
import { GemmBlock } from './gemm-block';
import { type GemmSpec, planOf } from './gemm-plan';

/** (A, B, and b or D where there is one) → C */
export function gemmKernel(extension: VectorExtension, spec: GemmSpec): Kernel {
  const { rows, columns, bias = false, added = false, signals = false, transposeA = false, transposeB = false } = spec;
  const plan = planOf(extension, spec);
  const block = new GemmBlock(spec, plan);
  return assembleKernel(extension, {
    name: `Gemm${transposeA ? 'T' : 'N'}${transposeB ? 'T' : 'N'}`,
    inputs: Array.from({ length: bias || added ? 3 : 2 }, () => 'float32' as const),
    outputs: [[rows, columns], ...(signals ? [[1]] : [])].map((shape) => ({ type: 'float32', shape })),
    inPlace: added,
    phases: [{ tasks: plan.rowBlocks * plan.columnBlocks, stack: block.stack, emit: (code) => block.emit(code) }],
  });
}
