/**
 * What bfloat16 costs: a model learns a language of its own twice, from the same weights on the same tokens, with matrix
 * products in float32 and in bfloat16. Prints the losses of both; then what each samples in both, and the divergence from that
 * to its distribution in float32.
 *   node scripts/bench.mjs bfloat16 [tiny|small] [steps] [seed]
 */
import { createScorer } from '@pavlov/model';
import { createEngine, type Engine, type Parameters, type Precision } from '@pavlov/tensor';
import { heldOutTexts, learn, lessonFromArguments } from './quality/language';
import { sample } from './quality/samples';
import type { Shape } from './speed/shapes';

/** Of the last steps, over which the loss of training is a mean. */
const lastSteps = 20;
/** Batches of held-out text. */
const heldOutBatches = 16;

async function main(args: readonly string[]): Promise<void> {
  const lesson = lessonFromArguments(args);
  const { shape, steps, seed } = lesson;
  using float32 = await createEngine();
  using bfloat16 = await createEngine({ precision: 'bfloat16' });
  const engines = { float32, bfloat16 } satisfies Record<Precision, Engine>;
  console.log({ ...shape.model, steps, seed });
  for (const [trained, engine] of Object.entries(engines)) {
    const { parameters, losses } = await learn(engine, lesson);
    const last = losses.slice(-lastSteps);
    const trainingLoss = last.reduce((sum, loss) => sum + loss, 0) / last.length;
    for (const [used, engine] of Object.entries(engines)) {
      const heldOutLoss = await lossOf(engine, { shape, parameters });
      const samples = await sample({ shape, parameters, engine, judge: float32 });
      console.log({ trained, trainingLoss, used, heldOutLoss, ...samples });
    }
  }
}

/** Of held-out text, in nats per token. */
async function lossOf(
  engine: Engine,
  { shape: { model: config, batch, length }, parameters }: { shape: Shape; parameters: Parameters },
): Promise<number> {
  const sequences = heldOutTexts(config, { rows: heldOutBatches * batch, length });
  const scorer = await createScorer(engine, { config, batch, length });
  const logprobs = await scorer.logprobs({ parameters, sequences, from: sequences.map(() => 1), temperature: 1 });
  const all = logprobs.flatMap((row) => [...row]);
  return -all.reduce((sum, logprob) => sum + logprob, 0) / all.length;
}

void main(process.argv.slice(2));
