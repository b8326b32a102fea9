/**
 * Log-probs and entropies of a softmax over a large vocabulary, from what its logits are linear in.
 *
 * Logits take V numbers a token, often more than all else that a model keeps of it. So no more than a part of them is ever there: a
 * part's are computed, read, and forgotten, and computed again where their gradient is due.
 * Every number is the same to the last bit as without parts: rows do not depend on each other, and the parts end where a whole
 * product over all rows ends a step of its sums.
 * Leaves out: machines without kernels of our own, where all logits are there at once.
 */
import { depthsOf } from '@pavlov/kernels';
import { tf } from '../tf';
import { hasKernels, runTraced, tracedPrecision } from '../trace-backend';
import { customGradient } from './custom-gradient';
import { entropy } from './entropy';
import { kernelOptions, type LogitsOptions } from './logits';
import { after } from './recomputed';
import { tokenLogprobs } from './token-logprobs';

export interface LinearLogitsInput {
  /** [N, C] */
  readonly x: tf.Tensor;
  /** [V, C]: logits are x tableᵀ. */
  readonly table: tf.Tensor;
  readonly options?: LogitsOptions;
}

/** Fewer logits are computed all at once: 64 MiB. */
const fewestLogits = 2 ** 24;

/** Log-probability of each target, int32 [N] in [0, V) → [N]. Gradients reach x and the table. */
export function linearLogprobs({ targets, ...input }: LinearLogitsInput & { readonly targets: tf.Tensor }): tf.Tensor {
  const { options = {} } = input;
  const sizes = partsOf(input);
  if (sizes.length === 1) return tokenLogprobs(logitsOf(input.x, input.table), targets, options);
  const { temperature, attributes } = kernelOptions(options);
  return customGradient([input.x, input.table, targets], ([x, table, targets]) => {
    const ids = tf.split(targets, sizes);
    const parts = tf
      .split(x, sizes)
      .map((own, nth) =>
        runTraced('PavlovTokenLogprobs', { logits: logitsOf(own, table), targets: ids[nth], temperature }, attributes),
      );
    const [values, statistics] = [0, 1].map((output) => parts.map((part) => part[output]));
    return {
      value: tf.concat(values),
      saved: [x, table, targets, tf.concat(statistics)],
      gradient: (dy, [x, table, targets, statistics]) => {
        const [xs, ids, stats, dys] = [x, targets, statistics, dy].map((all) => tf.split(all, sizes));
        const dxs: tf.Tensor[] = [];
        let added: tf.Tensor | undefined;
        let before = [dy];
        for (let nth = 0; nth < sizes.length; nth++) {
          // One part after the other: else ONNX Runtime computes the logits of all before it reads those of one.
          const logits = logitsOf(before.reduce(after, xs[nth]), table);
          const inputs = { logits, targets: ids[nth], temperature, statistics: stats[nth], dy: dys[nth] };
          const [dLogits] = runTraced('PavlovTokenLogprobsGradient', inputs, attributes);
          const dx = tf.matMul(dLogits, table);
          const [dTable, done] = runTraced('PavlovLinearGradient', {
            x: xs[nth],
            dy: dLogits,
            ...(added && { added }),
          });
          dxs.push(dx);
          added = dTable;
          before = [dx, done];
        }
        return [tf.concat(dxs), added!, tf.zerosLike(targets)];
      },
    };
  });
}

/** Entropy in nats of each row's softmax → [N]. A figure to look at: its gradient would hold all logits. */
export function linearEntropy(input: LinearLogitsInput): tf.Tensor {
  const entropyOf = (x: tf.Tensor): tf.Tensor => entropy(logitsOf(x, input.table), input.options);
  const sizes = partsOf(input);
  return sizes.length === 1 ? entropyOf(input.x) : tf.concat(tf.split(input.x, sizes).map(entropyOf));
}

const logitsOf = (x: tf.Tensor, table: tf.Tensor): tf.Tensor => tf.matMul(x, table, false, true);

/** Rows of each part: the steps in which a product adds up over all rows. */
function partsOf({ x, table }: LinearLogitsInput): number[] {
  const [rows] = x.shape;
  if (!hasKernels() || rows * table.shape[0] <= fewestLogits) return [rows];
  return depthsOf(rows, tracedPrecision());
}
