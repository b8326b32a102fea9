/**
 * What weights in 8 bits cost generation: a model learns a language of its own, then samples it in 32 and in 8 bits. Prints the
 * divergence of the two, and how probable each one's samples are to the model itself.
 *   node scripts/bench.mjs int8 [tiny|small] [steps] [seed]
 */
import { createGenerator, createScorer, initParameters, type Generation } from '@pavlov/model';
import { randomStream } from '@pavlov/random';
import { createEngine } from '@pavlov/tensor';
import { compileLmStep, createLearner } from '@pavlov/training';
import { shapeFromArguments } from './speed/shapes';

const optimiser = {
  weightDecay: 0,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  epsilonPlacement: 'pytorch',
  clipNorm: 1,
} as const;
const learningRate = 1e-3;
/** Tokens that may follow a token, the nth with half the probability of the one before. */
const branches = 6;

/** Text of the language: what follows a token depends on it and, one time in two, on the one before it. */
function text({ length, vocabSize, seed }: { length: number; vocabSize: number; seed: number }): number[] {
  const { uniform, below } = randomStream(seed, 'bench/int8');
  const tokens = [2 + below(vocabSize - 2)];
  while (tokens.length < length) {
    const branch = Math.min(branches - 1, Math.floor(-Math.log2(1 - uniform())));
    const context = tokens.at(-1)! * 31 + (uniform() < 0.5 ? (tokens.at(-2) ?? 0) : 0);
    tokens.push(2 + ((context * 7 + branch * 101) % (vocabSize - 2)));
  }
  return tokens;
}

async function main([shapeName, steps = '300', seed = '1']: string[]): Promise<void> {
  const { model: config, batch: rows, length: columns, prompt, answer } = shapeFromArguments(shapeName);
  const { vocabSize } = config;
  using engine = await createEngine();
  const learner = createLearner(initParameters(config, 'lm', Number(seed)), optimiser);
  const step = await compileLmStep(engine, { model: config, rows, columns });
  const count = rows * columns;
  let loss = NaN;
  for (let index = 0; index < Number(steps); index++) {
    const tokens = text({ length: count + 1, vocabSize, seed: Number(seed) * 100_000 + index });
    const [inputs, targets] = [tokens.slice(0, -1), tokens.slice(1)].map((ids) => Int32Array.from(ids));
    ({ loss } = await step.gradients(learner, { tokens: inputs, targets, mask: new Float32Array(count).fill(1) }));
    learner.update({ learningRate, losses: { loss } });
  }

  const { parameters } = learner;
  const prompts = Array.from({ length: 4 * rows }, (_, row) => text({ length: prompt, vocabSize, seed: 1 + row }));
  const scorer = await createScorer(engine, { config, batch: rows, length: prompt + answer });
  const sample = async (bits: 32 | 8) => {
    const generator = await createGenerator(engine, {
      ...{ config, batch: rows, maxPromptTokens: prompt, maxNewTokens: answer },
      ...(bits === 8 && { int8: parameters }),
    });
    const options = {
      parameters,
      prompts,
      temperature: 1,
      eosId: 0,
      stopAtEos: false,
      seed: 1,
      purpose: 'bench',
      step: 0,
    };
    const generation = await generator.generate(options);
    const sequences = generation.responses.map((response, row) => [...prompts[row], ...response]);
    const truth = await scorer.logprobs({ parameters, sequences, from: prompts.map(() => prompt), temperature: 1 });
    return { bits, ...compare(generation, truth) };
  };
  console.log({ shape: shapeName ?? 'tiny', steps: Number(steps), seed: Number(seed), loss });
  console.log([await sample(32), await sample(8)]);
}

/** Means over tokens, in nats; the divergence from sampled tokens to the truth by Schulman's k3. */
function compare({ logprobs, tokens }: Generation, truth: readonly Float32Array[]) {
  let [divergence, logProbability] = [0, 0];
  logprobs.forEach((row, index) =>
    row.forEach((logprob, position) => {
      const logRatio = truth[index][position] - logprob;
      divergence += (Math.expm1(logRatio) - logRatio) / tokens;
      logProbability += truth[index][position] / tokens;
    }),
  );
  return { tokens, divergence, perplexityOfSamples: Math.exp(-logProbability) };
}

void main(process.argv.slice(2));
