/** The softmax of a new position's scores, on the stack: a float for each position. */
import { type Assembler } from '../assembler';
import { type Gpr, type Label, type Memory, r15, rax, rbp, rcx, rdx, rsp } from '../encoding';
import { emitExp } from '../mathematics';
import { block, type CacheLayout } from './cache-layout';
import { type CachePrefetch } from './cache-prefetch';
import { repeat } from './packing';

/** Of the stack, from rsp on: floats up to the last position, and what is written behind it. */
export const scoreBytes = ({ length, terms }: CacheLayout): number => 4 * (length + terms * block);

/** Bytes of the scores of whole blocks, once they are there. */
const offset = rbp;

/**
 * Scores, unscaled, a block at a time; they end where register rbp says. Dimensions go to several sums in turn, since one would wait
 * for its last addition. Changes rax, rcx, rdx and r15.
 */
export function emitScores(
  code: Assembler,
  { words, terms }: CacheLayout,
  { q, keys, values, count, prefetch }: Record<'q' | 'keys' | 'values' | 'count', Gpr> & { prefetch: CachePrefetch },
): void {
  const vectorBytes = 4 * code.lanes;
  const parts = block / code.lanes;
  const turns = words % 4 === 0 ? 4 : 1;
  const nextBlock: Label = {};
  code.mov(rax, keys);
  code.movImmediate(offset, 0);
  code.lea(r15, { base: count, displacement: block - 1 });
  code.andImmediate(r15, -block); // positions in whole blocks
  code.mulImmediate(rcx, r15, words * 4);
  prefetch.start(rcx);
  prefetch.part({ part: keys, bytes: rcx, next: { base: values } });
  code.place(nextBlock);
  for (let sum = 0; sum < turns * parts; sum++) code.zero(sum);
  code.mov(rdx, q);
  const unrolled = Math.min(words, 16);
  const addWords = (from: number, to: number): void => {
    prefetch.follow(rax);
    for (let word = from; word < to; word++) {
      code.broadcast(8 + (word % 4), { base: rdx, displacement: 4 * word });
      for (let part = 0; part < parts; part++) {
        const place = { base: rax, displacement: word * block * 4 + part * vectorBytes };
        const sum = (word % turns) * parts + part;
        if (part === 0) prefetch.line(word * block * 4);
        if (terms === 2) code.dotBfloat16(sum, 8 + (word % 4), place);
        else code.op('fma231', sum, 8 + (word % 4), place);
      }
    }
    code.addImmediate(rax, (to - from) * block * 4);
    code.addImmediate(rdx, (to - from) * 4);
  };
  repeat(code, { counter: rcx, times: Math.floor(words / unrolled) }, () => addWords(0, unrolled));
  if (words % unrolled > 0) addWords(0, words % unrolled);
  for (let distance = 1; distance < turns; distance *= 2)
    for (let turn = 0; turn < turns; turn += 2 * distance)
      for (let part = 0; part < parts; part++)
        code.op('add', turn * parts + part, turn * parts + part, (turn + distance) * parts + part);
  for (let part = 0; part < parts; part++)
    code.store({ base: rsp, index: offset, displacement: part * vectorBytes }, part);
  code.addImmediate(offset, block * 4);
  code.addImmediate(r15, -block);
  code.jumpIf('notEqual', nextBlock);
}

const [peak, sum, x, a, b, scale, second, ones] = [0, 1, 2, 3, 4, 5, 6, 7];

/**
 * Weights e^(scale · (score − largest)) in place of the scores, and 1 / their sum in `inverse`; what stands behind the last position
 * gets none. Weights in bfloat16 are in pairs, from rsp on, too. Changes rax, rcx and rdx.
 */
export function emitWeights(
  code: Assembler,
  { size, terms }: CacheLayout,
  { count, inverse }: { count: Gpr; inverse: Memory },
): void {
  const vectorBytes = 4 * code.lanes;
  const overScores = (step: number, body: (place: Memory) => void): void => {
    const start: Label = {};
    code.movImmediate(rcx, 0);
    code.place(start);
    body({ base: rsp, index: rcx });
    code.addImmediate(rcx, step);
    code.compare(rcx, offset);
    code.jumpIf('less', start);
  };
  const raise = (register: number): void => {
    code.op('sub', register, register, peak);
    code.op('mul', register, register, scale);
    emitExp(code, register, { a, b });
  };
  code.constantBits(x, 0xff800000 | 0, rax);
  for (let at = 0; at < terms * block * 4; at += vectorBytes)
    code.store({ base: rsp, index: count, scale: 4, displacement: at }, x);
  code.load(peak, x);
  overScores(vectorBytes, (place) => code.op('max', peak, peak, place));
  code.reduce('max', peak, peak, a);
  code.broadcast(peak, peak);
  code.zero(sum);
  code.constant(scale, 1 / Math.sqrt(size), rax);
  if (terms === 1) {
    overScores(vectorBytes, (place) => {
      code.load(x, place);
      raise(x);
      code.op('add', sum, sum, x);
      code.store(place, x);
    });
  } else {
    // The sum is that of the rounded weights: they then add up to 1, so that rounding counts only where values differ from their mix.
    code.constantBits(ones, 0x3f803f80, rax);
    code.mov(rdx, rsp);
    overScores(2 * vectorBytes, (place) => {
      code.load(x, place);
      code.load(second, { ...place, displacement: vectorBytes });
      raise(x);
      raise(second);
      code.toBfloat16(x, x, second);
      code.dotBfloat16(sum, x, ones);
      code.store({ base: rdx }, x);
      code.addImmediate(rdx, vectorBytes);
    });
  }
  code.reduce('add', sum, sum, a);
  code.constant(a, 1, rax);
  code.opOne('div', sum, a, sum);
  code.storeOne(inverse, sum);
}
