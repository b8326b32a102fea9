/**
 * Draws a token from the softmax of each row of logits, by inverting the cumulative distribution in the order of ids.
 *
 * Method: e^(logit − largest) is summed a vector at a time; the first vector at which the running sum exceeds its share of the
 * total has the token. Both sums are formed by the same additions, so the running one arrives.
 */
import { type Assembler } from '../assembler';
import { type Label, r10, r11, r12, r13, r14, r8, rax, rbx, rcx, rdi, rdx, rsi, rsp, type VectorExtension } from '../encoding'; // prettier-ignore
import { assembleKernel, type Kernel } from '../kernel';
import { emitExp } from '../mathematics';

/**
 * (logits [N, V], uniforms [N] in [0, 1)) → token int32 [N], its logit less the row's largest [N], and Σ e^(logit − largest) [N],
 * so that log p = the second − log of the third. A row that is not finite gives token −1.
 */
export function sampleKernel(
  extension: VectorExtension,
  { rows, vocabulary }: { rows: number; vocabulary: number },
): Kernel {
  const lanes = extension === 'avx512' ? 16 : 8;
  return assembleKernel(extension, {
    name: 'Sample',
    inputs: ['float32', 'float32'],
    outputs: [
      { type: 'int32', shape: [rows] },
      { type: 'float32', shape: [rows] },
      { type: 'float32', shape: [rows] },
    ],
    phases: [
      {
        tasks: rows,
        stack: 4 * (Math.ceil(vocabulary / lanes) + 4 * lanes),
        emit: (code) => emitRow(code, vocabulary),
      },
    ],
  });
}

function emitRow(code: Assembler, vocabulary: number): void {
  const { lanes } = code;
  const vectorBytes = 4 * lanes;
  const whole = Math.floor(vocabulary / lanes) * vectorBytes;
  const rest = vocabulary % lanes;
  const mask = code.extension === 'avx512' ? 1 : 15;
  const [peak, total, x, a, b, target] = [0, 1, 2, 3, 4, 5];
  const [logits, uniform, token, shifted, sum] = [r8, r10, r11, r12, r13];
  /** Numbers of a vector, and behind them the sums of all vectors. */
  const numbers = { base: rsp };
  const sums = vectorBytes;

  [logits, uniform, token, shifted, sum].forEach((register, i) =>
    code.mov(register, { base: rdi, displacement: 8 * i }),
  );
  code.mulImmediate(rax, rsi, 4 * vocabulary);
  code.addGpr(logits, rax);
  for (const register of [uniform, token, shifted, sum]) code.lea(register, { base: register, index: rsi, scale: 4 });
  if (rest > 0) code.setMask(mask, rest, rcx);

  const overBytes = ({ from, end, step }: { from: number; end: number; step: number }, body: () => void): void => {
    if (from >= end) return;
    const start: Label = {};
    code.movImmediate(rcx, from);
    code.place(start);
    body();
    code.addImmediate(rcx, step);
    code.compareImmediate(rcx, end);
    code.jumpIf('less', start);
  };

  code.broadcast(peak, { base: logits });
  overBytes({ from: 0, end: whole, step: vectorBytes }, () => code.op('max', peak, peak, { base: logits, index: rcx }));
  overBytes({ from: whole, end: 4 * vocabulary, step: 4 }, () => {
    code.broadcast(x, { base: logits, index: rcx });
    code.op('max', peak, peak, x);
  });
  code.reduce('max', peak, peak, a);
  code.broadcast(peak, peak);

  /** x = e^(logit − largest) of the vector that x holds. */
  const exponentiate = (): void => {
    code.op('sub', x, x, peak);
    emitExp(code, x, { a, b });
  };
  const cutRest = (): void => {
    code.store(numbers, x);
    code.loadMasked(x, numbers, mask);
  };
  const addVector = (): void => {
    code.reduce('add', x, x, a);
    code.storeOne({ base: rbx }, x);
    code.opOne('add', total, total, x);
    code.addImmediate(rbx, 4);
  };
  code.zero(total);
  code.lea(rbx, { base: rsp, displacement: sums });
  overBytes({ from: 0, end: whole, step: vectorBytes }, () => {
    code.load(x, { base: logits, index: rcx });
    exponentiate();
    addVector();
  });
  if (rest > 0) {
    code.loadMasked(x, { base: logits, displacement: whole }, mask);
    exponentiate();
    cutRest();
    addVector();
  }
  code.storeOne({ base: sum }, total);
  code.loadOne(target, { base: uniform });
  code.opOne('mul', target, target, total);

  // The vector, then the lane; rdx counts tokens.
  const running = 6;
  const before = 7;
  const [nextVector, inVector, nextLane, found, none, done]: Label[] = [{}, {}, {}, {}, {}, {}];
  code.zero(running);
  code.lea(rbx, { base: rsp, displacement: sums });
  code.movImmediate(rdx, 0);
  code.place(nextVector);
  code.load(before, running, 128);
  code.opOne('add', running, running, { base: rbx });
  code.compareOne(running, target);
  code.jumpIf('above', inVector);
  code.addImmediate(rbx, 4);
  code.addImmediate(rdx, lanes);
  code.compareImmediate(rdx, vocabulary);
  code.jumpIf('less', nextVector);
  code.jump(none);

  code.place(inVector);
  const last: Label = {};
  if (rest > 0) {
    const loaded: Label = {};
    code.compareImmediate(rdx, vocabulary - rest);
    code.jumpIf('equal', last);
    code.load(x, { base: logits, index: rdx, scale: 4 });
    exponentiate();
    code.jump(loaded);
    code.place(last);
    code.loadMasked(x, { base: logits, index: rdx, scale: 4 }, mask);
    exponentiate();
    code.store(numbers, x);
    code.loadMasked(x, numbers, mask);
    code.place(loaded);
  } else {
    code.load(x, { base: logits, index: rdx, scale: 4 });
    exponentiate();
  }
  code.store(numbers, x);
  // Added one by one, the numbers may come to a little less than their sum as a vector: then the last that is not zero it is.
  code.movImmediate(rcx, 0);
  code.movImmediate(r14, 0);
  code.zero(a);
  code.place(nextLane);
  code.loadOne(x, { base: rsp, index: rcx, scale: 4 });
  const zero: Label = {};
  code.compareOne(x, a);
  code.jumpIf('belowOrEqual', zero);
  code.mov(r14, rcx);
  code.place(zero);
  code.opOne('add', before, before, x);
  code.compareOne(before, target);
  code.jumpIf('above', found);
  code.addImmediate(rcx, 1);
  code.compareImmediate(rcx, lanes);
  code.jumpIf('less', nextLane);
  code.mov(rcx, r14);
  code.place(found);
  code.addGpr(rdx, rcx);
  code.movTo32({ base: token }, rdx);
  code.loadOne(x, { base: logits, index: rdx, scale: 4 });
  code.opOne('sub', x, x, peak);
  code.storeOne({ base: shifted }, x);
  code.jump(done);
  code.place(none);
  code.movImmediate(rdx, -1);
  code.movTo32({ base: token }, rdx);
  code.place(done);
}
