/**
 * What weights in 8 bits cost generation: a model learns a language of its own, then samples it in 32 and in 8 bits. Prints the
 * divergence of the two, and how probable each one's samples are to the model itself.
 *   node scripts/bench.mjs int8 [tiny|small] [steps] [seed]
 */
import { createEngine } from '@pavlov/tensor';
import { learn, lessonFromArguments } from './quality/language';
import { sample } from './quality/samples';

async function main(args: readonly string[]): Promise<void> {
  const lesson = lessonFromArguments(args);
  const { shape, steps, seed } = lesson;
  using engine = await createEngine();
  const { parameters, losses } = await learn(engine, lesson);
  console.log({ ...shape.model, steps, seed, loss: losses.at(-1) });
  const given = { shape, parameters, engine, judge: engine };
  console.log([
    { bits: 32, ...(await sample(given)) },
    { bits: 8, ...(await sample({ ...given, int8: true })) },
  ]);
}

void main(process.argv.slice(2));
