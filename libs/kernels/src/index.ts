export { Assembler } from './assembler';
export * from './encoding';
export { addressOf, callKernel, loadLibrary, placeCode, type ExecutableCode } from './executable';
export { assembleKernel, loop, type ElementType, type Kernel, type Phase, type TensorPort } from './kernel';
export { alignedSpace } from './memory';
export { computesBfloat16, vectorExtensions } from './processor';
export { geluKernel, geluGradientKernel } from './kernels/gelu';
export { selfAttentionKernel } from './kernels/self-attention';
export { selfAttentionGradientKernel } from './kernels/self-attention-gradient';
export { fitsSelfAttention, type AttentionShape } from './kernels/attention-geometry';
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
export { emitProduct, mostRows, sumAt, zeroSums, type Factor, type Precision, type Tile } from './tile';
export { gemmKernel } from './kernels/gemm';
export { depthsOf, type GemmSpec } from './kernels/gemm-plan';
export { packMatrixKernel, panelsOf, type MatrixSpec, type PanelsSpec } from './kernels/panels';
export { linearRowsKernel, type LinearRowsSpec } from './kernels/linear-rows';
export { cacheLength, type CacheSpec } from './kernels/cache-layout';
export { cachedAttentionKernel } from './kernels/cached-attention';
export { fillCacheKernel } from './kernels/fill-cache';
export { sampleKernel } from './kernels/sample';
