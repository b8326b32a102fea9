import { alignedSpace } from '@pavlov/kernels';
import type { Signature } from './signature';
import { sizeOf } from './signature';

export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Where each parameter lies in one flat buffer. Offsets, sizes and length are counted in floats. */
export interface ParameterLayout {
  readonly entries: readonly (ParameterSpec & { readonly offset: number; readonly size: number })[];
  readonly length: number;
}

/** Named parameters over one flat buffer, so that optimisers and files see a single run of floats. */
export interface Parameters {
  readonly layout: ParameterLayout;
  readonly data: Float32Array;
  /** Subarrays of `data` by parameter name. */
  readonly views: Readonly<Record<string, Float32Array>>;
}

/** Floats; 64 bytes, a cache line and the widest vector register. */
const alignment = 16;

const aligned = (length: number): number => Math.ceil(length / alignment) * alignment;

/** Lays the parameters out one after the other, each offset a multiple of 16 floats. Names must differ. */
export function layoutParameters(specs: readonly ParameterSpec[]): ParameterLayout {
  const seen = new Set<string>();
  let length = 0;
  const entries = specs.map(({ name, shape }) => {
    if (seen.has(name)) throw new RangeError(`Parameter "${name}" is listed twice`);
    seen.add(name);
    const entry = { name, shape: [...shape], offset: length, size: sizeOf(shape) };
    length += aligned(entry.size);
    return entry;
  });
  return { entries, length };
}

/** Parameters that are all zero. */
export function allocateParameters(layout: ParameterLayout): Parameters {
  const { buffer, byteOffset } = alignedSpace(4 * layout.length);
  const data = new Float32Array(buffer, byteOffset, layout.length);
  const views = layout.entries.map(({ name, offset, size }) => [name, data.subarray(offset, offset + size)] as const);
  return { layout, data, views: Object.fromEntries(views) };
}

/** Parameters of the same layout and values in a buffer of their own. */
export function copyParameters(source: Parameters): Parameters {
  const copy = allocateParameters(source.layout);
  copy.data.set(source.data);
  return copy;
}

/** The part of a `compile` signature that stands for the parameters. */
export function parameterSignature(layout: ParameterLayout): Signature {
  return Object.fromEntries(layout.entries.map(({ name, shape }) => [name, { shape, dtype: 'float32' as const }]));
}
