import { addressOf } from './executable';

/** A cache line, and the widest vector register. */
const lineBytes = 64;

/**
 * Zeroed memory that begins at a cache line and does not move. Large arrays otherwise begin 16 bytes behind one, and then each
 * vector of 64 bytes is two accesses.
 */
export function alignedSpace(bytes: number): { readonly buffer: ArrayBuffer; readonly byteOffset: number } {
  const buffer = new ArrayBuffer(bytes + 2 * lineBytes); // never so few that V8 would move them
  return { buffer, byteOffset: gapOf(buffer) };
}

/** Bytes up to the next cache line; 0 where addresses cannot be told. */
function gapOf(buffer: ArrayBuffer): number {
  try {
    return (lineBytes - Number(addressOf(new Uint8Array(buffer)) % BigInt(lineBytes))) % lineBytes;
  } catch {
    return 0; // There is no native code to read them either.
  }
}
