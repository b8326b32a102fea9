/**
 * Attention of one new position per row to a cache of earlier ones. A task is a head of a row.
 *
 * Method: scores of one block of keys after the other, their softmax on the stack, and its mix of the values. In bfloat16, query, keys,
 * values and the weights of the softmax are rounded; scores, softmax and sums are float32.
 */
import { type Assembler } from '../assembler';
import { type Gpr, type Label, type Memory, r10, r11, r12, r13, r14, r8, r9, rax, rbx, rcx, rdi, rdx, rsi, rsp, type VectorExtension } from '../encoding'; // prettier-ignore
import { assembleKernel, type Kernel } from '../kernel';
import { emitLoad, emitStore } from '../lanes';
import { block, type CacheLayout, type CacheSpec, emitCarryOver, emitRowVectors, cacheLayoutOf, type RowVectors } from './cache-layout'; // prettier-ignore
import { CachePrefetch } from './cache-prefetch';
import { emitMix } from './cached-attention-mix';
import { emitScores, emitWeights, scoreBytes } from './cached-attention-scores';
import { pairs, PairingRows } from './packing-pairs';

/** What a head keeps on the stack, behind the scores: places from rsp on. */
interface Stack {
  /** 1 / the sum of the weights. */
  readonly inverse: Memory;
  /** Query and key in pairs, where there are pairs. */
  readonly pairs: Memory;
  readonly bytes: number;
}

function stackOf(layout: CacheLayout): Stack {
  const inverse = scoreBytes(layout);
  const behind = inverse + 64;
  const bytes = behind + (layout.terms === 2 ? 2 * pairs.rowBytes(layout.size) : 0);
  return { inverse: { base: rsp, displacement: inverse }, pairs: { base: rsp, displacement: behind }, bytes };
}

/**
 * (qkv [B, 3·H·D], past keys and values, lengths int32 [B] with the new position) → y [B, H·D], and the cache. Nothing is copied
 * where the cache is the very memory of the past.
 */
export function cachedAttentionKernel(extension: VectorExtension, spec: CacheSpec): Kernel {
  const { rows, heads, size } = spec;
  const layout = cacheLayoutOf(spec);
  const { port } = layout;
  return assembleKernel(extension, {
    name: 'CachedAttention',
    inputs: ['float32', port.type, port.type, 'int32'],
    outputs: [{ type: 'float32', shape: [rows, heads * size] }, port, port],
    phases: [{ tasks: rows * heads, stack: stackOf(layout).bytes, emit: (code) => emitHead(code, layout) }],
  });
}

function emitHead(code: Assembler, layout: CacheLayout): void {
  const { heads, size, bytes, words } = layout;
  const width = heads * size;
  const stack = stackOf(layout);
  const [q, k, v, keys, values, y] = [r8, r9, r10, r11, r12, r13];
  const count = r14; // positions

  // rax = row, rdx = head
  code.mov(rax, rsi);
  code.movImmediate(rcx, heads);
  code.divide(rcx);
  code.mulImmediate(rbx, rsi, bytes);
  code.mov(keys, { base: rdi, displacement: 40 });
  code.addGpr(keys, rbx);
  code.mov(values, { base: rdi, displacement: 48 });
  code.addGpr(values, rbx);
  [keys, values].forEach((cache, i) => emitCarryOver(code, { past: 8 + 8 * i, cache, bytes }));
  code.mov(rcx, { base: rdi, displacement: 24 });
  code.movInt32(count, { base: rcx, index: rax, scale: 4 });
  code.mulImmediate(rbx, rdx, size * 4);
  code.mulImmediate(rcx, rax, width * 12);
  code.mov(q, { base: rdi });
  code.addGpr(q, rcx);
  code.addGpr(q, rbx);
  code.lea(k, { base: q, displacement: width * 4 });
  code.lea(v, { base: q, displacement: width * 8 });
  code.mulImmediate(rcx, rax, width * 4);
  code.mov(y, { base: rdi, displacement: 32 });
  code.addGpr(y, rcx);
  code.addGpr(y, rbx);
  const vectors = emitRowVectors(code, size, rax);

  if (layout.terms === 2) {
    const rowStride = pairs.rowBytes(size);
    code.lea(rax, stack.pairs);
    code.mov(rbx, q);
    pairs.along(code, { rows: 2, depth: size, stride: width * 4, rowStride }, { source: rbx, target: rax, counter: rcx, scratch: rdx }); // prettier-ignore
    code.lea(q, stack.pairs);
    code.lea(k, { base: q, displacement: rowStride });
  }
  emitNewKey(code, { k, keys, count, words });
  if (layout.terms === 2) emitNewValueHalves(code, { v, values, count, size, vectors });
  else emitNewValue(code, { v, values, count, size, vectors });

  const prefetch = new CachePrefetch(code);
  emitScores(code, layout, { q, keys, values, count, prefetch });
  emitWeights(code, layout, { count, inverse: stack.inverse });
  emitMix(code, layout, { keys, values, count, y, vectors, inverse: stack.inverse, prefetch });
}

/** The key of the new position goes to lane `position % 16` of its block. Changes rax, rbx and rcx. */
function emitNewKey(
  code: Assembler,
  { k, keys, count, words }: { k: Gpr; keys: Gpr; count: Gpr; words: number },
): void {
  code.lea(rbx, { base: count, displacement: -1 });
  code.mov(rax, rbx);
  code.andImmediate(rax, -block);
  code.mulImmediate(rcx, rax, words * 4);
  code.subGpr(rbx, rax);
  code.lea(rbx, { base: rcx, index: rbx, scale: 4 });
  code.addGpr(rbx, keys);
  for (let word = 0; word < words; word++) {
    code.loadOne(word % 8, { base: k, displacement: 4 * word });
    code.storeOne({ base: rbx, displacement: word * block * 4 }, word % 8);
  }
}

interface NewValue {
  readonly v: Gpr;
  readonly values: Gpr;
  readonly count: Gpr;
  readonly size: number;
  readonly vectors: RowVectors;
}

/** Changes rax. */
function emitNewValue(code: Assembler, { v, values, count, size, vectors }: NewValue): void {
  code.lea(rax, { base: count, displacement: -1 });
  code.mulImmediate(rax, rax, size * 4);
  code.addGpr(rax, values);
  for (let vector = 0; vector < vectors.count; vector++) {
    const displacement = vector * 4 * code.lanes;
    emitLoad(code, vector % 8, { base: v, displacement }, vectors.maskOf(vector));
    emitStore(code, { base: rax, displacement }, vector % 8, vectors.maskOf(vector));
  }
}

/**
 * The same where a word has the values of two positions. An even one puts zeros beside its own, since it is read with them before the
 * next one comes, and no weight makes a number of what is none. Changes rax and rbx.
 */
function emitNewValueHalves(code: Assembler, { v, values, count, size, vectors }: NewValue): void {
  const [pairing, zero] = [new PairingRows(code, 16), 17];
  const [odd, end]: Label[] = [{}, {}];
  code.lea(rax, { base: count, displacement: -1 });
  code.mov(rbx, rax);
  code.andImmediate(rax, -2);
  code.mulImmediate(rax, rax, size * 2);
  code.addGpr(rax, values);
  const overVectors = (body: (mask: number | undefined, places: { own: Memory; row: Memory }) => void): void => {
    for (let vector = 0; vector < vectors.count; vector++) {
      const displacement = vector * 64;
      body(vectors.maskOf(vector), { own: { base: v, displacement }, row: { base: rax, displacement } });
    }
  };
  code.andImmediate(rbx, 1);
  code.jumpIf('notEqual', odd);
  code.zero(zero);
  overVectors((mask, { own, row }) => {
    emitLoad(code, 0, own, mask);
    pairing.emit(0, 0, zero);
    emitStore(code, row, 0, mask);
  });
  code.jump(end);
  code.place(odd);
  overVectors((mask, { own, row }) => {
    emitLoad(code, 0, row, mask);
    code.shiftLeft(0, 0, 16); // as float32, which is rounded to itself
    emitLoad(code, 1, own, mask);
    pairing.emit(0, 0, 1);
    emitStore(code, row, 0, mask);
  });
  code.place(end);
}
