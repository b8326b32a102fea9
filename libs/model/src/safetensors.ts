import { PavlovError } from '@pavlov/contracts';
import { z } from 'zod';

/**
 * The safetensors format (huggingface.co/docs/safetensors): an unsigned 64-bit length, a JSON header of that length that
 * names each tensor's type, shape and place, then the tensors' bytes without gaps. All little-endian, as every machine
 * that ONNX Runtime is built for.
 *
 * Reads and writes F32 tensors only; other types are listed by the reader but not converted.
 */

export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Little-endian bytes within the file. */
  readonly bytes: Uint8Array;
}

/** The format's own limit, against headers that would exhaust the memory. */
const maxHeaderBytes = 100_000_000;
/** The tensors start at a multiple of this; the header is filled up with spaces. */
const alignment = 8;
const bytesOf: Readonly<Record<string, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
};

const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(z.int().min(0)),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});
type Entry = z.infer<typeof entrySchema>;
const headerSchema = z.object({ __metadata__: z.record(z.string(), z.string()).optional() }).catchall(entrySchema);

/** Writes tensors in the given order. */
export function writeSafetensors(tensors: readonly NamedTensor[]): Uint8Array {
  let length = 0;
  // "pt" is what transformers wants to read before it loads a file.
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  for (const { name, shape, data } of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [length, length + data.byteLength] };
    length += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const headerBytes = Math.ceil((8 + json.length) / alignment) * alignment - 8;
  const file = Buffer.alloc(8 + headerBytes + length);
  file.writeBigUInt64LE(BigInt(headerBytes), 0);
  file.fill(' ', 8 + json.copy(file, 8), 8 + headerBytes);
  let at = 8 + headerBytes;
  for (const { data } of tensors) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/**
 * The tensors of a file by name; their bytes are views of `file`.
 *
 * @throws PavlovError CHECKPOINT_CORRUPT when the header, the offsets or the length of the file are not as they must be
 */
export function readSafetensors(file: Uint8Array): Map<string, StoredTensor> {
  if (file.byteLength < 8) throw corrupt('it is shorter than the length of its header');
  const headerBytes = Number(new DataView(file.buffer, file.byteOffset, 8).getBigUint64(0, true));
  if (headerBytes > Math.min(maxHeaderBytes, file.byteLength - 8)) {
    throw corrupt(`its header of ${headerBytes} bytes does not fit a file of ${file.byteLength}`);
  }
  const data = file.subarray(8 + headerBytes);
  const tensors = parseHeader(file.subarray(8, 8 + headerBytes));
  const stored = new Map<string, StoredTensor>();
  let end = 0;
  for (const [name, { dtype, shape, data_offsets: offsets }] of tensors) {
    const size = shape.reduce((product, dimension) => product * dimension, bytesOf[dtype] ?? NaN);
    if (Number.isNaN(size)) throw corrupt(`"${name}" has the unknown type ${dtype}`);
    if (offsets[0] !== end) throw corrupt(`"${name}" starts at byte ${offsets[0]} where ${end} was expected`);
    if (offsets[1] - offsets[0] !== size) {
      throw corrupt(`"${name}" has ${offsets[1] - offsets[0]} bytes; ${dtype}[${shape.join(', ')}] needs ${size}`);
    }
    end = offsets[1];
    stored.set(name, { dtype, shape, bytes: data.subarray(offsets[0], end) });
  }
  if (end !== data.byteLength) throw corrupt(`its tensors take ${end} bytes, but ${data.byteLength} follow the header`);
  return stored;
}

/** Copies an F32 tensor's values. @throws PavlovError CHECKPOINT_CORRUPT for another type or size */
export function copyFloats(stored: StoredTensor, target: Float32Array): void {
  if (stored.dtype !== 'F32') throw corrupt(`a tensor is ${stored.dtype}; only F32 can be used`);
  if (stored.bytes.byteLength !== target.byteLength)
    throw corrupt(`a tensor has ${stored.bytes.byteLength} bytes; ${target.byteLength} are needed`);
  new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(stored.bytes);
}

/** Entries in the order of their bytes. */
function parseHeader(bytes: Uint8Array): [string, Entry][] {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw corrupt('its header is not JSON', cause);
  }
  const parsed = headerSchema.safeParse(header);
  if (!parsed.success) throw corrupt(`its header is malformed: ${z.prettifyError(parsed.error)}`);
  const isTensor = (entry: [string, unknown]): entry is [string, Entry] => entry[0] !== '__metadata__';
  return Object.entries(parsed.data)
    .filter(isTensor)
    .sort(([, { data_offsets: a }], [, { data_offsets: b }]) => a[0] - b[0] || a[1] - b[1]);
}

function corrupt(problem: string, cause?: unknown): PavlovError {
  return new PavlovError(
    {
      code: 'CHECKPOINT_CORRUPT',
      field: 'model.safetensors',
      message: `The safetensors file cannot be used: ${problem}.`,
      hint: 'Fetch or write the file again; it is damaged or of another kind.',
    },
    { cause },
  );
}
