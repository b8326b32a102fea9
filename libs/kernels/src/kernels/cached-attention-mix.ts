/** The mix of the values by the weights on the stack. */
import { type Assembler } from '../assembler';
import { type Gpr, type Label, type Memory, r15, rax, rbx, rcx, rsp } from '../encoding';
import { emitStore } from '../lanes';
import { type CacheLayout, type RowVectors } from './cache-layout';
import { type CachePrefetch } from './cache-prefetch';

interface Mix {
  readonly keys: Gpr;
  readonly values: Gpr;
  /** Positions. */
  readonly count: Gpr;
  readonly y: Gpr;
  readonly vectors: RowVectors;
  /** What the weights are multiplied with. */
  readonly inverse: Memory;
  readonly prefetch: CachePrefetch;
}

const mostVectors = 8;
/** Registers below are sums. */
const mostSums = 12;
const temporary = 13;
const element = 14;

/** Writes y. Changes rax, rbx, rcx and r15. */
export function emitMix(code: Assembler, layout: CacheLayout, mix: Mix): void {
  const { y, vectors, inverse } = mix;
  // So many vectors of a row at a time as there are registers for.
  for (let first = 0; first < vectors.count; first += mostVectors) {
    const own = Array.from({ length: Math.min(mostVectors, vectors.count - first) }, (_, i) => first + i);
    emitSums(code, layout, { ...mix, own });
    code.broadcast(temporary, inverse);
    own.forEach((vector, i) => {
      code.op('mul', i, i, temporary);
      emitStore(code, { base: y, displacement: vector * 4 * code.lanes }, i, vectors.maskOf(vector));
    });
  }
}

/** Σ of the weights times the rows of values, for some of the vectors of a row: into the registers from 0 on. */
function emitSums(
  code: Assembler,
  { size, terms, bytes }: CacheLayout,
  { own, keys, values, count, vectors, prefetch }: Mix & { own: readonly number[] },
): void {
  const [row, weight, left] = [rax, rbx, r15];
  // Rows go to several sums in turn, since one would wait for its last addition.
  const turns = Math.min(4, Math.max(1, Math.floor(mostSums / own.length)));
  for (let sum = 0; sum < turns * own.length; sum++) code.zero(sum);
  const add = (rows: number): void => {
    prefetch.follow(row);
    for (let turn = 0; turn < rows; turn++) {
      code.broadcast(element, { base: weight, displacement: 4 * turn });
      own.forEach((vector, i) => {
        const place = { base: row, displacement: turn * size * 4 + vector * code.lanes * 4 };
        const mask = vectors.maskOf(vector);
        if (mask !== undefined) code.loadMasked(temporary, place, mask);
        prefetch.line(place.displacement);
        const source = mask === undefined ? place : temporary;
        if (terms === 2) code.dotBfloat16(turn * own.length + i, element, source);
        else code.op('fma231', turn * own.length + i, element, source);
      });
    }
    code.addImmediate(row, rows * size * 4);
    code.addImmediate(weight, rows * 4);
    code.addImmediate(left, -rows * terms);
  };
  const [several, single, end]: Label[] = [{}, {}, {}];
  code.mov(row, values);
  code.mov(weight, rsp);
  // Positions in whole rows; those that are missing weigh nothing.
  code.lea(left, { base: count, displacement: terms - 1 });
  if (terms > 1) code.andImmediate(left, -terms);
  code.mulImmediate(rcx, left, (size * 4) / terms);
  prefetch.part({ part: values, bytes: rcx, next: { base: keys, displacement: bytes } });
  code.place(several);
  code.compareImmediate(left, turns * terms);
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
