/**
 * What a phase must at least do, for comparing with the machine's own rates.
 *
 * Floating-point operations: 2 per weight of a matrix product (12·L·C² in the blocks, V·C in the head; looking up an
 * embedding is free), and 4·L·C per position that is attended to, causal attention counting its average length (T + 1) / 2.
 * A training step is three forward passes. An update of PPO samples, scores the answers with four networks, and trains two of
 * them in each epoch; logits count only where there is an answer. Bytes: every weight and every key and value of the cache,
 * once per sampled token.
 */
import type { Precision } from '@pavlov/tensor';
import type { Shape } from './shapes';
import type { Task } from './task';

export interface Cost {
  /** In the precision of the task; there is none to compare 8 bits with. */
  readonly flops?: number;
  /** Read from memory; only for sampling, which is bound by it. */
  readonly bytes?: number;
}

/** Of a weight, a key or a value that sampling reads. */
const bytesOf = { float32: 4, bfloat16: 2 } as const satisfies Record<Precision, number>;
/** Passes over each batch of answers, as in Stiennon et al. and in TRL. */
export const ppoEpochs = 4;

/** What `costOf` depends on. */
export type Work = Pick<Task, 'phase' | 'precision' | 'shape' | 'batch'>;

/** Per token of the phase's rate, or per update of PPO; undefined for phases that are not compared. */
export function costOf(work: Work): Cost | undefined {
  const { phase, shape, precision } = work;
  switch (phase) {
    case 'train':
      return { flops: 3 * forward(shape) };
    case 'score':
      return { flops: forward(shape) };
    case 'generate':
      return sampling(work, bytesOf[precision]);
    case 'generate-int8':
      return { bytes: sampling(work, 1).bytes };
    case 'ppo':
      return { flops: update(work) };
    case 'memory':
    case 'compile':
    case 'losses':
    case 'sgemm':
    case 'read':
      return undefined;
    default:
      return phase satisfies never;
  }
}

function forward({ model, length }: Shape): number {
  const { blocks, head, attention } = parts(model);
  return 2 * (blocks + head) + attention * ((length + 1) / 2);
}

function update(work: Work): number {
  const { shape, batch } = work;
  const { model, prompt, answer } = shape;
  const { head } = parts(model);
  const length = prompt + answer;
  const scalar = length * forward({ ...shape, model: { ...model, vocabSize: 0 }, length });
  const lm = scalar + answer * 2 * head;
  const sampled = answer * (sampling(work, bytesOf[work.precision]).flops ?? 0);
  return batch * (sampled + 2 * (lm + scalar) + ppoEpochs * 3 * (lm + scalar));
}

function sampling({ shape: { model, prompt, answer }, batch, precision }: Work, bytesPerWeight: number): Cost {
  const { blocks, head, attention } = parts(model);
  const meanContext = prompt + answer / 2;
  const prefill = (prompt / answer) * (2 * blocks + attention * ((prompt + 1) / 2));
  const weights = ((blocks + head) * bytesPerWeight) / batch;
  const cache = 2 * model.layers * model.width * meanContext * bytesOf[precision];
  return { flops: 2 * (blocks + head) + attention * meanContext + prefill, bytes: weights + cache };
}

function parts({ layers, width, vocabSize }: Shape['model']) {
  return { blocks: 12 * layers * width ** 2, head: vocabSize * width, attention: 4 * layers * width };
}
