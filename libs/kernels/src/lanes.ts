/** Reading and writing vectors of which perhaps only the first lanes exist. */
import { type Assembler } from './assembler';
import { type Gpr, type Memory, type Vec } from './encoding';

/** The number of a mask: a mask register where there are some, else `vector`. */
export const maskFor = (code: Assembler, vector: Vec): number => (code.extension === 'avx512' ? 1 : vector);

/** Loads all lanes, or those of `mask`. */
// eslint-disable-next-line max-params -- the order of every assembler
export function emitLoad(code: Assembler, target: Vec, source: Memory, mask?: number): void {
  if (mask === undefined) code.load(target, source);
  else code.loadMasked(target, source, mask);
}

/** Stores all lanes, or those of `mask`. */
// eslint-disable-next-line max-params -- the order of every assembler
export function emitStore(code: Assembler, target: Memory, source: Vec, mask?: number): void {
  if (mask === undefined) code.store(target, source);
  else code.storeMasked(target, source, mask);
}

/** Emits `body` with `count` in a register, counted down to zero; at least once. */
export function countDown(
  code: Assembler,
  { counter, count }: { counter: Gpr; count: number },
  body: () => void,
): void {
  const start = {};
  code.movImmediate(counter, count);
  code.align(16);
  code.place(start);
  body();
  code.addImmediate(counter, -1);
  code.jumpIf('notEqual', start);
}
