/** Puts the keys and values of a prompt into a cache. A task is a head of a row. */
import { type Assembler } from '../assembler';
import { type Gpr, type Memory, r10, r8, r9, rax, rbx, rcx, rdi, rdx, rsi, type Vec, type VectorExtension } from '../encoding'; // prettier-ignore
import { assembleKernel, type Kernel } from '../kernel';
import { emitLoad, emitStore } from '../lanes';
import { emitTranspose } from '../transpose';
import { block, type CacheLayout, type CacheSpec, emitCarryOver, emitRowVectors, cacheLayoutOf } from './cache-layout';
import { packingMask, repeat } from './packing';
import { pairsAlongRows, PairingRows } from './packing-pairs';

interface Prompt extends CacheLayout {
  /** T */
  readonly time: number;
  /** Bytes from one position to the next. */
  readonly stride: number;
}

/**
 * (qkv [B·T, 3·H·D], past keys and values) → the cache with the keys and values of T positions from the first on. Nothing is
 * copied where the cache is the very memory of the past.
 */
export function fillCacheKernel(extension: VectorExtension, { time, ...spec }: CacheSpec & { time: number }): Kernel {
  const { rows, heads, size } = spec;
  const layout = cacheLayoutOf(spec);
  const { port } = layout;
  const prompt = { ...layout, time, stride: 12 * heads * size };
  return assembleKernel(extension, {
    name: 'FillCache',
    inputs: ['float32', port.type, port.type],
    outputs: [port, port],
    phases: [{ tasks: rows * heads, emit: (code) => emitHead(code, prompt) }],
  });
}

function emitHead(code: Assembler, prompt: Prompt): void {
  const { heads, size, bytes, time, stride } = prompt;
  const [source, keys, values] = [r8, r9, r10];
  code.mov(rax, rsi);
  code.movImmediate(rcx, heads);
  code.divide(rcx); // rax = row, rdx = head
  code.mulImmediate(rcx, rax, time * stride);
  code.mulImmediate(rdx, rdx, size * 4);
  code.mov(source, { base: rdi });
  code.addGpr(source, rcx);
  code.addGpr(source, rdx);
  code.addImmediate(source, 4 * heads * size); // the keys
  code.mulImmediate(rbx, rsi, bytes);
  code.mov(keys, { base: rdi, displacement: 24 });
  code.addGpr(keys, rbx);
  code.mov(values, { base: rdi, displacement: 32 });
  code.addGpr(values, rbx);
  [keys, values].forEach((cache, i) => emitCarryOver(code, { past: 8 + 8 * i, cache, bytes }));
  code.lea(rax, { base: source, displacement: 4 * heads * size });
  emitValues(code, prompt, { source: rax, values });
  emitKeys(code, prompt, { source, keys });
}

/** Row by row. A row of pairs that lacks its second position has zeros there. Changes rcx, and moves both registers on. */
function emitValues(
  code: Assembler,
  { size, terms, time, stride }: Prompt,
  { source, values }: { source: Gpr; values: Gpr },
): void {
  const [first, second] = [0, 1];
  const vectors = emitRowVectors(code, size, rcx);
  const pairing = terms === 2 ? new PairingRows(code, 16) : undefined;
  const copy = (positions: number): void => {
    for (let vector = 0; vector < vectors.count; vector++) {
      const displacement = 4 * code.lanes * vector;
      const mask = vectors.maskOf(vector);
      emitLoad(code, first, { base: source, displacement }, mask);
      if (pairing) {
        if (positions < terms) code.zero(second);
        else emitLoad(code, second, { base: source, displacement: stride + displacement }, mask);
        pairing.emit(first, first, second);
      }
      emitStore(code, { base: values, displacement }, first, mask);
    }
    code.addImmediate(source, terms * stride);
    code.addImmediate(values, size * 4);
  };
  repeat(code, { counter: rcx, times: Math.floor(time / terms) }, () => copy(terms));
  if (time % terms > 0) copy(time % terms);
}

/**
 * Transposed, square by square; what stands beyond the last position is overwritten before it is read. Changes rcx and rdx, and moves
 * both registers on.
 */
function emitKeys(code: Assembler, prompt: Prompt, { source, keys }: { source: Gpr; keys: Gpr }): void {
  const { words, terms, time, stride } = prompt;
  const { lanes } = code;
  const square = (positions: number, part: number): void => {
    for (let word = 0; word < words; word += lanes) {
      const present = Math.min(lanes, words - word);
      const load = terms === 2 ? pairsAlongRows(code, terms * present, rdx) : floatsAlongRows(code, present);
      for (let row = 0; row < lanes; row++) {
        const displacement = (part * lanes + row) * stride + 4 * terms * word;
        if (row >= positions) code.zero(row);
        else load(row, { base: source, displacement }, row + lanes);
      }
      const columns = emitTranspose(code);
      for (let i = 0; i < present; i++)
        code.store({ base: keys, displacement: ((word + i) * block + part * lanes) * 4 }, columns[i]);
    }
  };
  const squares = (positions: number): void => {
    for (let part = 0; part < block / lanes; part++) square(Math.max(0, positions - part * lanes), part);
    code.addImmediate(source, block * stride);
    code.addImmediate(keys, block * words * 4);
  };
  repeat(code, { counter: rcx, times: Math.floor(time / block) }, () => squares(block));
  if (time % block > 0) squares(time % block);
}

/** As `pairsAlongRows`. */
function floatsAlongRows(code: Assembler, present: number): (target: Vec, source: Memory) => void {
  const mask = present < code.lanes ? packingMask(code) : undefined;
  if (mask !== undefined) code.setMask(mask, present, rdx);
  return (target, source) => emitLoad(code, target, source, mask);
}
