import { alignedSpace } from '@pavlov/kernels';
/** Element types that cross the border of a compiled function. */
export type DType = 'float32' | 'int32';

export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** Names, shapes and element types of the inputs or outputs of a compiled function. */
export type Signature = Readonly<Record<string, TensorSpec>>;

export type TypedArray = Float32Array | Int32Array;

/** Typed arrays by name. */
export type Buffers = Readonly<Record<string, TypedArray>>;

/** Inputs that are not fed: their values are known when a function is compiled. */
export type Constants = Readonly<Record<string, { readonly spec: TensorSpec; readonly values: TypedArray }>>;

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

export const describeSpec = (spec: TensorSpec): string => `${spec.dtype}[${spec.shape.join(', ')}]`;

/** The spec of an output; throws for element types that cannot leave a compiled function. */
export function outputSpec(name: string, { shape, dtype }: { shape: number[]; dtype: string }): TensorSpec {
  if (dtype === 'float32' || dtype === 'int32') return { shape, dtype };
  throw new TypeError(`Output "${name}" is ${dtype}; cast it to float32 or int32`);
}

/** A zeroed typed array for `spec`, over memory of its own that does not move. */
export function allocate(spec: TensorSpec): TypedArray {
  const size = sizeOf(spec.shape);
  const { buffer, byteOffset } = alignedSpace(4 * size);
  return spec.dtype === 'float32'
    ? new Float32Array(buffer, byteOffset, size)
    : new Int32Array(buffer, byteOffset, size);
}

/** Whether `array` has the element type and the exact size that `spec` asks for. Cheap: it runs for every feed of every run. */
export const fits = (spec: TensorSpec, size: number, array: TypedArray | undefined): boolean =>
  array !== undefined && array.length === size && array[Symbol.toStringTag] === arrayTypes[spec.dtype];

const arrayTypes = { float32: 'Float32Array', int32: 'Int32Array' } as const;

/** What is wrong with an array that does not fit. */
export function misfit(what: string, spec: TensorSpec, array: TypedArray | undefined): Error {
  const type = arrayTypes[spec.dtype];
  if (array === undefined) return new TypeError(`${what} is missing; it must be a ${type} for ${describeSpec(spec)}`);
  if (Object.prototype.toString.call(array) !== `[object ${type}]`) {
    return new TypeError(`${what} must be a ${type} for ${describeSpec(spec)}`);
  }
  return new RangeError(`${what} has ${array.length} elements; ${describeSpec(spec)} needs ${sizeOf(spec.shape)}`);
}

/** Throws if `given` has a name that `signature` lacks. */
export function checkNames(what: string, signature: Signature, given: object): void {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(signature, name)) {
      throw new TypeError(`${what} "${name}" is unknown; there are ${Object.keys(signature).join(', ')}`);
    }
  }
}
