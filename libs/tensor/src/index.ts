export { tf } from './tf';
export { createEngine, type BackendName, type Engine, type EngineOptions } from './engine';
export { PrecisionUnavailableError, type Precision } from './precision';
export type { BoundFunction, CompiledFunction, CompileOptions, TensorFunction } from './compile';
export { allocate } from './signature';
export type { Buffers, DType, Signature, TensorSpec, TypedArray } from './signature';
export {
  allocateParameters,
  copyParameters,
  layoutParameters,
  parameterSignature,
  type Parameters,
  type ParameterLayout,
  type ParameterSpec,
} from './parameters';
export { gradientBuffers, gradientOutputs, gradientsOf, type GradientResult, type LossResult } from './gradients';
export { layerNorm } from './primitives/layer-norm';
export { gelu } from './primitives/gelu';
export { softmax } from './primitives/softmax';
export { linear } from './primitives/linear';
export { linearColumns, type LinearColumnsInput } from './primitives/linear-columns';
export { linearPanels, packPanels, type LinearPanelsInput, type MatrixOrder } from './primitives/linear-panels';
export { sample, type Sample } from './primitives/sample';
export { linearInt8, type LinearInt8Input } from './primitives/linear-int8';
export { int8Panels } from './int8-panels';
export { quantizeMatrix, dequantizeMatrix, type QuantizedMatrix } from './quantize';
export { embedding } from './primitives/embedding';
export { causalAttention } from './primitives/causal-attention';
export { selfAttention, type SelfAttentionInput } from './primitives/self-attention';
export {
  cachedAttention,
  cacheSpec,
  type CachedAttentionInput,
  type CachedAttentionOutput,
  type CacheShape,
} from './primitives/cached-attention';
export { tokenLogprobs } from './primitives/token-logprobs';
export { linearLogprobs, linearEntropy, type LinearLogitsInput } from './primitives/linear-logprobs';
export { exclusion, type LogitsOptions } from './primitives/logits';
export { recomputed, type RecomputedInput } from './primitives/recomputed';
export { entropy } from './primitives/entropy';
