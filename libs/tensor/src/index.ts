export { tf } from './tf';
export { createEngine, type BackendName, type Engine, type EngineOptions } from './engine';
export type { CompiledFunction, CompileOptions, TensorFunction } from './compile';
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
