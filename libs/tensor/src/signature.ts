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

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

export const describeSpec = (spec: TensorSpec): string => `${spec.dtype}[${spec.shape.join(', ')}]`;

/** Small arrays would live inside V8's moving heap; a separate ArrayBuffer of this size never does. */
const minimumBytes = 256;

/** A zeroed typed array for `spec`, over memory of its own that does not move. */
export function allocate(spec: TensorSpec): TypedArray {
  const size = sizeOf(spec.shape);
  const buffer = new ArrayBuffer(Math.max(minimumBytes, size * 4));
  return spec.dtype === 'float32' ? new Float32Array(buffer, 0, size) : new Int32Array(buffer, 0, size);
}

/** Throws unless `array` has the element type and the exact size that `spec` asks for. */
export function checkBuffer(what: string, spec: TensorSpec, array: unknown): asserts array is TypedArray {
  const expected = spec.dtype === 'float32' ? Float32Array : Int32Array;
  if (array === undefined)
    throw new TypeError(`${what} is missing; it must be a ${expected.name} for ${describeSpec(spec)}`);
  if (!ArrayBuffer.isView(array) || Object.prototype.toString.call(array) !== `[object ${expected.name}]`) {
    throw new TypeError(`${what} must be a ${expected.name} for ${describeSpec(spec)}`);
  }
  const size = sizeOf(spec.shape);
  if ((array as TypedArray).length !== size) {
    throw new RangeError(`${what} has ${(array as TypedArray).length} elements; ${describeSpec(spec)} needs ${size}`);
  }
}

/** Throws if `given` has a name that `signature` lacks. */
export function checkNames(what: string, signature: Signature, given: object): void {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(signature, name)) {
      throw new TypeError(`${what} "${name}" is unknown; there are ${Object.keys(signature).join(', ')}`);
    }
  }
}
