export { Assembler } from './assembler';
export * from './encoding';
export { addressOf, callKernel, loadLibrary, placeCode, type ExecutableCode } from './executable';
export { assembleKernel, loop, stackBytes, type ElementType, type Kernel, type Phase, type TensorPort } from './kernel';
export { vectorExtensions } from './processor';
export { geluKernel, geluGradientKernel } from './kernels/gelu';
export { layerNormGradientKernel, layerNormKernel } from './kernels/layer-norm';
export { columnSumKernel, segmentSumKernel } from './kernels/sums';
export {
  entropyGradientKernel,
  entropyKernel,
  tokenLogprobsGradientKernel,
  tokenLogprobsKernel,
  type LogitsSpec,
} from './kernels/token-logprobs';
export { machineSweeps, placeSweeps, type AdamArrays, type AdamConstants, type Sweeps } from './sweeps';
export { emitProduct, mostRows, sumAt, zeroSums, type Factor, type Tile } from './tile';
