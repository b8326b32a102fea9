/**
 * What residual dropout costs a fine-tuning step: drawing the masks, and the graph with them beside the one without.
 *   node scripts/bench.mjs dropout [tiny|small|gpt2] [steps] [threads]
 */
import { availableParallelism } from 'node:os';
import { createResidualDropout, initParameters } from '@pavlov/model';
import { createEngine } from '@pavlov/tensor';
import { compileLmStep, createLearner } from '@pavlov/training';
import { shapeFromArguments } from './speed/shapes';

/** Steps that fill caches and the memory arena, and are not counted. */
const warmUp = 3;

const optimiser = {
  weightDecay: 0,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  epsilonPlacement: 'pytorch',
  clipNorm: 1,
} as const;

async function main([sizeName, steps = '20', threads = String(availableParallelism())]: string[]): Promise<void> {
  const { model, batch: rows, length: columns } = shapeFromArguments(sizeName);
  const grid = { rows, columns };
  const count = grid.rows * grid.columns;
  const token = (i: number): number => 2 + ((i * 7) % Math.min(model.vocabSize - 2, 97));
  const tokens = Int32Array.from({ length: count }, (_, i) => token(i));
  const targets = Int32Array.from({ length: count }, (_, i) => token(i + 1));
  const batch = { tokens, targets, mask: new Float32Array(count).fill(1) };

  const engine = await createEngine({ threads: Number(threads) });
  const learner = createLearner(initParameters(model, 'lm', 1), optimiser);
  const dropout = createResidualDropout({ config: model, ...grid, rate: 0.2, seed: 1, purpose: 'bench' });
  const [plain, dropping] = [
    compileLmStep(engine, { model, ...grid }),
    compileLmStep(engine, { model, ...grid, dropout }),
  ];
  const timed = async (times: number[], work: () => unknown): Promise<void> => {
    const before = performance.now();
    await work();
    times.push(performance.now() - before);
  };
  const [withoutMs, masksMs, withMs]: [number[], number[], number[]] = [[], [], []];
  for (let step = 0; step < warmUp + Number(steps); step++) {
    let masks = dropout.masksAt(step);
    await timed(withoutMs, () => plain.gradients(learner, batch));
    await timed(masksMs, () => (masks = dropout.masksAt(step)));
    await timed(withMs, () => dropping.gradients(learner, batch, masks));
  }
  engine.dispose();

  // The fastest of each: other work on the machine can only add to it.
  const [fastestWithoutMs, fastestMasksMs, fastestWithMs] = [withoutMs, masksMs, withMs].map((times) =>
    Math.min(...times.slice(warmUp)),
  );
  const share = (fastestMasksMs + fastestWithMs) / fastestWithoutMs - 1;
  const figures = { fastestWithoutMs, fastestMasksMs, fastestWithMs, share };
  console.log({ ...model, batch: rows, threads: Number(threads), ...figures });
}

void main(process.argv.slice(2));
