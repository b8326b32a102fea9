/**
 * Attention of one new position per row to a cache of earlier ones.
 *
 * Method: the cache holds keys in blocks of 16 positions, transposed, [B, H, L/16, D, 16], so that the scores of a block are a
 * vector, and values as they come, [B, H, L, D]: both are read from one end to the other, as far as there are positions. A task is
 * a head of a row.
 */
import { type Assembler } from '../assembler';
import { type Gpr, type Label, type Memory, r10, r11, r12, r13, r14, r15, r8, r9, rax, rbp, rbx, rcx, rdi, rdx, rsi, rsp, type VectorExtension } from '../encoding'; // prettier-ignore
import { assembleKernel, type Kernel } from '../kernel';
import { emitExp } from '../mathematics';
import { emitTranspose } from '../transpose';
import { repeat } from './packing';

export interface CacheSpec {
  /** B */
  readonly rows: number;
  /** H */
  readonly heads: number;
  /** D */
  readonly size: number;
  /** L, positions that the cache has room for: `cacheLength` of what is needed. */
  readonly length: number;
}

/** Positions of a block of keys. */
const block = 16;
/** Bytes ahead at which the cache is fetched. */
const prefetch = 1024;

/** Room for so many positions, as the kernels need it. */
export const cacheLength = (positions: number): number => Math.ceil(positions / block) * block;

const cacheShape = ({ rows, heads, size, length }: CacheSpec) =>
  ({ type: 'float32', shape: [rows, heads, length, size] }) as const;

/**
 * (qkv [B, 3·H·D], past keys and values, lengths int32 [B] with the new position) → y [B, H·D], and the cache. Nothing is copied
 * where the cache is the very memory of the past.
 */
export function cachedAttentionKernel(extension: VectorExtension, spec: CacheSpec): Kernel {
  const { rows, heads, size, length } = spec;
  const cache = cacheShape(spec);
  return assembleKernel(extension, {
    name: 'CachedAttention',
    inputs: ['float32', 'float32', 'float32', 'int32'],
    outputs: [{ type: 'float32', shape: [rows, heads * size] }, cache, cache],
    phases: [{ tasks: rows * heads, stack: 4 * (length + 32), emit: (code) => emitHead(code, spec) }],
  });
}

/** Copies a head's part of the past, whose address is argument number `past` / 8 plus rbx, unless it is the cache itself. */
function emitCarryOver(code: Assembler, { past, cache, bytes }: { past: number; cache: Gpr; bytes: number }): void {
  const [pointers, task] = [r15, rbp];
  const same: Label = {};
  code.mov(r14, { base: rdi, displacement: past });
  code.addGpr(r14, rbx);
  code.compare(r14, cache);
  code.jumpIf('equal', same);
  code.mov(pointers, rdi);
  code.mov(task, rsi);
  code.mov(rsi, r14);
  code.mov(rdi, cache);
  code.movImmediate(rcx, bytes);
  code.copyBytes();
  code.mov(rdi, pointers);
  code.mov(rsi, task);
  code.place(same);
}

function emitHead(code: Assembler, { heads, size, length }: CacheSpec): void {
  const { lanes } = code;
  const vectorBytes = 4 * lanes;
  const width = heads * size;
  const vectors = Math.ceil(size / lanes);
  const last = size - (vectors - 1) * lanes;
  const mask = code.extension === 'avx512' ? 1 : 15;
  const [q, k, v, keys, values, y] = [r8, r9, r10, r11, r12, r13];
  const count = r14; // positions

  // rax = row, rdx = head
  code.mov(rax, rsi);
  code.movImmediate(rcx, heads);
  code.divide(rcx);
  code.mulImmediate(rbx, rsi, size * length * 4);
  code.mov(keys, { base: rdi, displacement: 40 });
  code.addGpr(keys, rbx);
  code.mov(values, { base: rdi, displacement: 48 });
  code.addGpr(values, rbx);
  [keys, values].forEach((cache, i) => emitCarryOver(code, { past: 8 + 8 * i, cache, bytes: size * length * 4 }));
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
  if (last < lanes) code.setMask(mask, last, rax);
  const isPartial = (vector: number): boolean => last < lanes && vector === vectors - 1;
  const storeRow = (target: Memory, register: number, vector: number): void =>
    isPartial(vector) ? code.storeMasked(target, register, mask) : code.store(target, register);

  // The new position goes to the cache: its key to lane `position % 16` of its block.
  code.lea(rbx, { base: count, displacement: -1 });
  code.mov(rax, rbx);
  code.andImmediate(rax, -block);
  code.mulImmediate(rcx, rax, size * 4);
  code.subGpr(rbx, rax);
  code.lea(rbx, { base: rcx, index: rbx, scale: 4 });
  code.addGpr(rbx, keys);
  for (let d = 0; d < size; d++) {
    code.loadOne(d % 8, { base: k, displacement: 4 * d });
    code.storeOne({ base: rbx, displacement: d * block * 4 }, d % 8);
  }
  code.lea(rax, { base: count, displacement: -1 });
  code.mulImmediate(rax, rax, size * 4);
  code.addGpr(rax, values);
  for (let vector = 0; vector < vectors; vector++) {
    const source = { base: v, displacement: vector * vectorBytes };
    if (isPartial(vector)) code.loadMasked(vector % 8, source, mask);
    else code.load(vector % 8, source);
    storeRow({ base: rax, displacement: vector * vectorBytes }, vector % 8, vector);
  }

  // The values' beginning arrives while the scores are computed.
  for (let line = 0; line < prefetch; line += 64) code.prefetch({ base: values, displacement: line });

  // Scores, unscaled, a block at a time. Dimensions go to several sums in turn, since one would wait for its last addition.
  const [scores, offset] = [rsp, rbp];
  const parts = block / lanes;
  const turns = size % 4 === 0 ? 4 : 1;
  const nextBlock: Label = {};
  code.mov(rax, keys);
  code.movImmediate(offset, 0);
  code.lea(r15, { base: count, displacement: block - 1 });
  code.andImmediate(r15, -block); // positions in whole blocks
  code.place(nextBlock);
  for (let sum = 0; sum < turns * parts; sum++) code.zero(sum);
  code.mov(rdx, q);
  const dimensions = Math.min(size, 16);
  const addDimensions = (from: number, to: number): void => {
    for (let d = from; d < to; d++) {
      code.broadcast(8 + (d % 4), { base: rdx, displacement: 4 * d });
      for (let part = 0; part < parts; part++) {
        const place = { base: rax, displacement: d * block * 4 + part * vectorBytes };
        if (part === 0) code.prefetch({ ...place, displacement: place.displacement + prefetch });
        code.op('fma231', (d % turns) * parts + part, 8 + (d % 4), place);
      }
    }
    code.addImmediate(rax, (to - from) * block * 4);
    code.addImmediate(rdx, (to - from) * 4);
  };
  repeat(code, { counter: rcx, times: Math.floor(size / dimensions) }, () => addDimensions(0, dimensions));
  addDimensions(0, size % dimensions);
  for (let distance = 1; distance < turns; distance *= 2)
    for (let turn = 0; turn < turns; turn += 2 * distance)
      for (let part = 0; part < parts; part++)
        code.op('add', turn * parts + part, turn * parts + part, (turn + distance) * parts + part);
  for (let part = 0; part < parts; part++)
    code.store({ base: scores, index: offset, displacement: part * vectorBytes }, part);
  code.addImmediate(offset, block * 4);
  code.addImmediate(r15, -block);
  code.jumpIf('notEqual', nextBlock);

  // Weights e^(scale · (score − largest)); what stands behind the last position gets none.
  const [peak, sum, x, a, b, scale] = [0, 1, 2, 3, 4, 5];
  code.constantBits(x, 0xff800000 | 0, rax);
  for (let part = 0; part < parts; part++)
    code.store({ base: scores, index: count, scale: 4, displacement: part * vectorBytes }, x);
  code.load(peak, x);
  const overVectors = (body: (place: Memory) => void): void => {
    const start: Label = {};
    code.movImmediate(rcx, 0);
    code.place(start);
    body({ base: scores, index: rcx });
    code.addImmediate(rcx, vectorBytes);
    code.compare(rcx, offset);
    code.jumpIf('less', start);
  };
  overVectors((place) => code.op('max', peak, peak, place));
  code.reduce('max', peak, peak, a);
  code.broadcast(peak, peak);
  code.zero(sum);
  code.constant(scale, 1 / Math.sqrt(size), rax);
  overVectors((place) => {
    code.load(x, place);
    code.op('sub', x, x, peak);
    code.op('mul', x, x, scale);
    emitExp(code, x, { a, b });
    code.op('add', sum, sum, x);
    code.store(place, x);
  });
  code.reduce('add', sum, sum, a);
  code.constant(a, 1, rax);
  code.opOne('div', sum, a, sum);
  const inverse = { base: rsp, displacement: 4 * (length + 16) };
  code.storeOne(inverse, sum);

  // Their mix of the values, so many vectors of a row at a time as there are registers for.
  for (let first = 0; first < vectors; first += mostVectors) {
    const own = Array.from({ length: Math.min(mostVectors, vectors - first) }, (_, i) => first + i);
    emitMix(code, { own, size, values, count, isPartial, mask });
    code.broadcast(temporary, inverse);
    own.forEach((vector, i) => {
      const place = { base: y, displacement: vector * vectorBytes };
      code.op('mul', i, i, temporary);
      storeRow(place, i, vector);
    });
  }
}

const mostVectors = 8;
/** Registers below are sums. */
const mostSums = 12;
const temporary = 13;
const element = 14;

/** Σ of the weights on the stack times the rows of values, for some of the vectors of a row: into the registers from 0 on. */
function emitMix(
  code: Assembler,
  {
    own,
    size,
    values,
    count,
    isPartial,
    mask,
  }: {
    own: readonly number[];
    size: number;
    values: Gpr;
    count: Gpr;
    isPartial: (vector: number) => boolean;
    mask: number;
  },
): void {
  const [row, weight, left] = [rax, rbx, r15];
  // Positions go to several sums in turn, since one would wait for its last addition.
  const turns = Math.min(4, Math.max(1, Math.floor(mostSums / own.length)));
  for (let sum = 0; sum < turns * own.length; sum++) code.zero(sum);
  const add = (positions: number): void => {
    for (let turn = 0; turn < positions; turn++) {
      code.broadcast(element, { base: weight, displacement: 4 * turn });
      own.forEach((vector, i) => {
        const place = { base: row, displacement: turn * size * 4 + vector * code.lanes * 4 };
        if (isPartial(vector)) code.loadMasked(temporary, place, mask);
        code.prefetch({ ...place, displacement: place.displacement + prefetch });
        code.op('fma231', turn * own.length + i, element, isPartial(vector) ? temporary : place);
      });
    }
    code.addImmediate(row, positions * size * 4);
    code.addImmediate(weight, positions * 4);
    code.addImmediate(left, -positions);
  };
  const [several, single, end]: Label[] = [{}, {}, {}];
  code.mov(row, values);
  code.mov(weight, rsp);
  code.mov(left, count);
  code.place(several);
  code.compareImmediate(left, turns);
  code.jumpIf('less', single);
  add(turns);
  code.jump(several);
  code.place(single);
  code.compareImmediate(left, 0);
  code.jumpIf('equal', end);
  add(1);
  code.jump(single);
  code.place(end);
  for (let turn = 1; turn < turns; turn++) own.forEach((_, i) => code.op('add', i, i, turn * own.length + i));
}

/**
 * (qkv [B·T, 3·H·D], past keys and values) → the cache with the keys and values of T positions from the first on. Nothing is
 * copied where the cache is the very memory of the past.
 */
export function fillCacheKernel(extension: VectorExtension, { time, ...spec }: CacheSpec & { time: number }): Kernel {
  const { rows, heads, size, length } = spec;
  const cache = cacheShape(spec);
  const stride = 12 * heads * size;
  return assembleKernel(extension, {
    name: 'FillCache',
    inputs: ['float32', 'float32', 'float32'],
    outputs: [cache, cache],
    phases: [
      {
        tasks: rows * heads,
        emit: (code) => {
          const { lanes } = code;
          const mask = code.extension === 'avx512' ? 1 : 15;
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
          code.mulImmediate(rcx, rsi, size * length * 4);
          code.mov(keys, { base: rdi, displacement: 24 });
          code.addGpr(keys, rcx);
          code.mov(values, { base: rdi, displacement: 32 });
          code.addGpr(values, rcx);
          code.mov(rbx, rcx);
          [keys, values].forEach((cache, i) =>
            emitCarryOver(code, { past: 8 + 8 * i, cache, bytes: size * length * 4 }),
          );
          // Values, row by row.
          code.lea(rax, { base: source, displacement: 4 * heads * size });
          const panel = { vectors: Math.ceil(size / lanes), last: size - (Math.ceil(size / lanes) - 1) * lanes };
          if (panel.last < lanes) code.setMask(mask, panel.last, rcx);
          repeat(code, { counter: rcx, times: time }, () => {
            for (let vector = 0; vector < panel.vectors; vector++) {
              const isPartial = panel.last < lanes && vector === panel.vectors - 1;
              const at = 4 * lanes * vector;
              if (isPartial) code.loadMasked(0, { base: rax, displacement: at }, mask);
              else code.load(0, { base: rax, displacement: at });
              if (isPartial) code.storeMasked({ base: values, displacement: at }, 0, mask);
              else code.store({ base: values, displacement: at }, 0);
            }
            code.addImmediate(rax, stride);
            code.addImmediate(values, size * 4);
          });
          // Keys, transposed square by square; what stands beyond the last position is overwritten before it is read.
          const square = (positions: number, part: number): void => {
            for (let d = 0; d < size; d += lanes) {
              const present = Math.min(lanes, size - d);
              if (present < lanes) code.setMask(mask, present, rdx);
              for (let row = 0; row < lanes; row++) {
                const place = { base: source, displacement: (part * lanes + row) * stride + 4 * d };
                if (row >= positions) code.zero(row);
                else if (present < lanes) code.loadMasked(row, place, mask);
                else code.load(row, place);
              }
              const columns = emitTranspose(code);
              for (let i = 0; i < present; i++)
                code.store({ base: keys, displacement: ((d + i) * block + part * lanes) * 4 }, columns[i]);
            }
          };
          const squares = (positions: number): void => {
            for (let part = 0; part < block / lanes; part++) square(Math.max(0, positions - part * lanes), part);
            code.addImmediate(source, block * stride);
            code.addImmediate(keys, block * size * 4);
          };
          repeat(code, { counter: rcx, times: Math.floor(time / block) }, () => squares(block));
          if (time % block > 0) squares(time % block);
        },
      },
    ],
  });
}
