/**
 * Supervised fine-tuning on demonstrations (InstructGPT §3.5 and appendix C.1).
 *
 *  1. load the policy,
 *  2. encode each demonstration; only its completion, EOS included, is learned; keep some demonstrations out,
 *  3. AdamW with a cosine to 10 % of the peak over all epochs; with a pretraining mix, the corpus' gradient is added,
 *  4. after every epoch, the held-out loss,
 *  5. publish the last weights.
 *
 * Leaves out: residual dropout, choosing the epoch by reward-model score, and resuming a killed run.
 */
import { accumulate, cosineDecay, warmUp } from '@pavlov/algorithms';
import { type SftConfig } from '@pavlov/contracts';
import {
  encodeDemonstrations,
  layOutDemonstrations,
  type EncodedDemonstration,
  type TokenBatch,
} from '@pavlov/datasets';
import { randomStream } from '@pavlov/random';
import { type Train, type TrainerContext } from '@pavlov/service-kit';
import { copyParameters, createEngine, type Engine } from '@pavlov/tensor';
import {
  compileLmStep,
  createLearner,
  createThroughput,
  loadCheckpoint,
  openTextBatches,
  publishCheckpoint,
  readRows,
  type Learner,
  type LoadedCheckpoint,
} from '@pavlov/training';

export const train: Train<'sft'> = async (context) => {
  const { config, seed, store } = context;
  const engine = await createEngine({ threads: context.threads });

  // 1.
  const policy = await loadCheckpoint(store, { id: config.policy, head: 'lm' });
  const { parameters, tokenizer } = policy;
  const learner = createLearner(parameters, config);

  // 2.
  const rows = await readRows(store, { id: config.dataset, kind: 'demonstrations' });
  const encoded = encodeDemonstrations(rows, { tokenizer, contextLength: policy.model.contextLength });
  const shuffled = randomStream(seed, 'sft/held-out').shuffle(encoded);
  const heldOutCount =
    encoded.length < 2 ? 0 : Math.min(Math.round(encoded.length * config.heldOutFraction), encoded.length - 1);
  const heldOut = shuffled.slice(0, heldOutCount);
  const training = shuffled.slice(heldOutCount);
  const columns = Math.max(...encoded.map(lengthOf)) - 1;
  const layOut = (batch: typeof encoded): TokenBatch =>
    layOutDemonstrations(batch, { rows: config.batchSize, columns, padId: tokenizer.padId });

  // 3.
  const step = await compileLmStep(engine, { model: policy.model, rows: config.batchSize, columns });
  const mix = await openMix({ context, engine, policy });
  const stepsPerEpoch = Math.ceil(training.length / config.batchSize);
  const steps = stepsPerEpoch * config.epochs;
  const rate = learningRate(config, steps);
  const throughput = createThroughput();
  let metrics: Record<string, number> = {};
  for (let index = 0; index < steps; index++) {
    await context.checkpoint();
    const epoch = Math.floor(index / stepsPerEpoch);
    const order = randomStream(seed, 'sft/order', [epoch]).shuffle(training);
    const start = (index % stepsPerEpoch) * config.batchSize;
    const batch = order.slice(start, start + config.batchSize);
    const { loss } = await step.gradients(learner, layOut(batch));
    const mixed = await mix?.add(learner, index);
    const losses = { loss, ...(mixed && { 'pretraining loss': mixed.loss }) };
    const { gradientNorm } = learner.update({ learningRate: rate(index), losses });

    throughput.add(batch.reduce((sum, example) => sum + lengthOf(example), 0) + (mixed?.tokens ?? 0));
    context.metrics(index, {
      'loss/completion': loss,
      ...(mixed && { 'loss/pretraining': mixed.loss }),
      'train/gradient_norm': gradientNorm,
      'train/learning_rate': rate(index),
    });
    context.progress({
      fraction: (index + 1) / steps,
      phase: 'training',
      step: index + 1,
      steps,
      tokensPerSecond: throughput.lap(),
      headline: { name: 'loss', value: loss },
    });

    // 4.
    const epochEnds = (index + 1) % stepsPerEpoch === 0;
    if (epochEnds && heldOut.length > 0) {
      const heldOutLoss = await step.meanLoss(parameters, batchesOf(heldOut, config.batchSize).map(layOut));
      metrics = { heldOutLoss };
      context.metrics(index, { 'loss/held_out': heldOutLoss, epoch: epoch + 1 });
    }
  }

  // 5.
  await publishCheckpoint(context, { ...policy, kind: 'policy', metrics });
  engine.dispose();
  return { metrics, tokens: throughput.tokens };
};

/** Adds the gradient of one batch of pretraining text to what the demonstrations gave. */
interface PretrainingMix {
  add(learner: Learner, step: number): Promise<{ loss: number; tokens: number }>;
}

async function openMix(input: {
  context: TrainerContext<'sft'>;
  engine: Engine;
  policy: LoadedCheckpoint;
}): Promise<PretrainingMix | undefined> {
  const { context, engine, policy } = input;
  const mix = context.config.pretrainingMix;
  if (mix === undefined) return undefined;
  const shape = { rows: mix.batchSize, columns: policy.model.contextLength };
  const step = await compileLmStep(engine, { model: policy.model, ...shape, coefficient: mix.coefficient });
  const batches = await openTextBatches(context.store, {
    id: mix.dataset,
    tokenizer: policy.tokenizer,
    ...shape,
    seed: context.seed,
  });
  const gradients = copyParameters(policy.parameters);
  return {
    add: async (learner, index) => {
      const { loss } = await step.gradients({ ...learner, gradients }, batches.batchAt(index));
      accumulate({ total: learner.gradients.data, gradients: gradients.data });
      return { loss, tokens: shape.rows * shape.columns };
    },
  };
}

function learningRate(config: SftConfig, steps: number) {
  const { learningRate: peak, warmupSteps } = config;
  const then = cosineDecay({
    peak,
    floor: peak * config.finalLearningRateFraction,
    steps: Math.max(steps - warmupSteps, 1),
  });
  return warmUp({ steps: warmupSteps, then });
}

function lengthOf({ prompt, completion }: EncodedDemonstration): number {
  return prompt.length + completion.length;
}

function batchesOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
