export { Assembler } from './assembler';
export * from './encoding';
export { addressOf, callKernel, loadLibrary, placeCode, type ExecutableCode } from './executable';
export { assembleKernel, loop, type ElementType, type Kernel, type Phase, type TensorPort } from './kernel';
export { vectorExtensions } from './processor';
export { geluKernel, geluGradientKernel } from './kernels/gelu';
export { emitProduct, mostRows, sumAt, zeroSums, type Factor, type Tile } from './tile';
export { gemmKernel, type GemmSpec } from './kernels/gemm';
