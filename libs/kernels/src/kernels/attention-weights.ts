/** The softmax of self-attention: weights in place of a block's scores. */
import { type Assembler } from '../assembler';
import { type Label, r8, rax, rdi, rdx } from '../encoding';
import { emitStore, maskFor } from '../lanes';
import { emitPowerOfTwo } from '../mathematics';
import { type Context, first, maximumAt, scratch, statistics, sumOfWeightsAt } from './attention-context';
import { loadPowerConstants, powerRegisters } from './attention-geometry';
import { PairingRows } from './packing-pairs';

/** Registers of `emitPowerOfTwo`, with its constants from 3 on; more of them for pairs. */
const [x, a, b, constants] = [0, 1, 2, 3];
const pairRegisters = { second: 11, largest: [12, 13], factor: 14, ones: 15, indices: 16 } as const;

/** Weights from scores, their sums, and the statistics. Changes rax, rdx, rdi and r8. */
export function emitWeights(code: Assembler, context: Context, count: number): void {
  const { lanes, blockRow, weightsAt, terms } = context;
  const vectors = count > lanes ? [0, 1] : [0];
  loadPowerConstants(code, constants);
  for (const vector of vectors) code.zero(sumOfWeightsAt(context, vector));
  const weighKeys = terms === 2 ? pairsOfKeys(code, context, vectors) : keyByKey(code, context);
  const weigh = (those: readonly number[]): void => {
    const next: Label = {};
    code.align(16);
    code.place(next);
    weighKeys(those);
    code.addImmediate(rdx, terms * blockRow);
    code.addImmediate(r8, -terms);
    code.jumpIf('notEqual', next);
  };
  const whole = (keys: number): number => Math.ceil(keys / terms) * terms;
  code.lea(rdx, { base: scratch, displacement: weightsAt });
  code.lea(r8, { base: first, displacement: whole(Math.min(count, lanes)) });
  weigh(vectors);
  if (count > lanes) {
    code.movImmediate(r8, whole(count - lanes));
    weigh([1]);
  }
  emitStatistics(code, context, count);
}

function keyByKey(code: Assembler, context: Context): (vectors: readonly number[]) => void {
  const registers = powerRegisters(code, { a, b, first: constants });
  return (vectors) => {
    for (const vector of vectors) {
      const place = { base: rdx, displacement: 4 * code.lanes * vector };
      const sum = sumOfWeightsAt(context, vector);
      code.load(x, place);
      code.op('sub', x, x, maximumAt(context, vector));
      emitPowerOfTwo(code, x, registers);
      code.op('add', sum, sum, x);
      code.store(place, x);
    }
  };
}

/**
 * Weights of two keys are a row of pairs. The sums are those of the rounded weights: y is then a mix of the values, whatever rounding
 * does, and the gradient's Σ dy y the same mix of dy · v, so that ds is 0 where those do not differ. The gradient has the same scores,
 * to the bit, and divides by the same sums.
 */
function pairsOfKeys(
  code: Assembler,
  context: Context,
  vectors: readonly number[],
): (vectors: readonly number[]) => void {
  const { lanes, size, blockRow, weightsAt } = context;
  const { second, largest, factor, ones, indices } = pairRegisters;
  const registers = powerRegisters(code, { a, b, first: constants });
  const pairing = new PairingRows(code, indices);
  code.load(factor, code.number(Math.LOG2E / Math.sqrt(size)));
  code.load(ones, code.numberBits(0x3f803f80));
  for (const vector of vectors) {
    const maximum = maximumAt(context, vector);
    code.op('mul', maximum, maximum, factor);
    code.op('xor', largest[vector], maximum, code.numberBits(1 << 31));
  }
  code.lea(rdi, { base: scratch, displacement: weightsAt });
  return (those) => {
    for (const vector of those) {
      const displacement = 4 * lanes * vector;
      [x, second].forEach((weight, key) => {
        code.load(weight, { base: rdx, displacement: key * blockRow + displacement });
        code.op('fma213', weight, factor, largest[vector]);
        emitPowerOfTwo(code, weight, registers);
      });
      pairing.emit(x, x, second);
      code.dotBfloat16(sumOfWeightsAt(context, vector), x, ones);
      code.store({ base: rdi, displacement }, x);
    }
    code.addImmediate(rdi, blockRow);
  };
}

function emitStatistics(code: Assembler, context: Context, count: number): void {
  const { lanes, length } = context;
  code.load(x, code.number(1));
  for (let vector = 0; vector * lanes < count; vector++) {
    const present = Math.min(lanes, count - vector * lanes);
    const mask = present < lanes ? maskFor(code, 4) : undefined;
    if (mask !== undefined) code.setMask(mask, present, rax);
    const inverse = 1;
    code.op('div', inverse, x, sumOfWeightsAt(context, vector));
    [maximumAt(context, vector), inverse].forEach((values, i) => {
      const displacement = 4 * (i * length + vector * lanes);
      emitStore(code, { base: statistics, index: first, scale: 4, displacement }, values, mask);
    });
  }
}
