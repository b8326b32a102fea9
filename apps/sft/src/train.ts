/**
 * Supervised fine-tuning on demonstrations (InstructGPT §3.5 and appendix C.1).
 *
 *  1. load the policy,
 *  2. encode each demonstration; only its completion, EOS included, is learned; keep some users' demonstrations out,
 *  3. AdamW with a cosine to 10 % of the peak over all epochs, and residual dropout; with a pretraining mix, the corpus'
 *     gradient is added,
 *  4. after every epoch, the held-out loss and, with a selection, the reward model's score of the policy's answers,
 *  5. with a selection, keep the weights of the epoch that scores highest; without, the last,
 *  6. publish what was kept.
 *
 * Leaves out: resuming a killed run.
 */
import { cosineDecay, warmUp } from '@pavlov/algorithms';
import { type SftConfig } from '@pavlov/contracts';
import {
  encodeDemonstrations,
  layOutDemonstrations,
  splitHeldOut,
  type EncodedDemonstration,
  type TokenBatch,
} from '@pavlov/datasets';
import { createResidualDropout } from '@pavlov/model';
import { randomStream } from '@pavlov/random';
import { type Train } from '@pavlov/service-kit';
import { copyParameters } from '@pavlov/tensor';
import {
  compileLmStep,
  createLearner,
  createThroughput,
  loadCheckpoint,
  openEngine,
  openPretrainingMix,
  publishCheckpoint,
  readRows,
} from '@pavlov/training';
import { openSelection } from './selection';

export const train: Train<'sft'> = async (context) => {
  const { config, seed, store } = context;
  using engine = await openEngine({ threads: context.threads, precision: config.precision });

  // 1.
  const policy = await loadCheckpoint(store, { id: config.policy, head: 'lm' });
  const { model, parameters, tokenizer } = policy;
  const learner = createLearner(parameters, config);

  // 2.
  const rows = await readRows(store, { id: config.dataset, kind: 'demonstrations' });
  const encoded = encodeDemonstrations(rows, { tokenizer, contextLength: model.contextLength });
  const { training, heldOut } = splitHeldOut(encoded, {
    fraction: config.heldOutFraction,
    seed,
    purpose: 'sft/held-out',
    groupOf: ({ user }) => user,
  });
  context.log('info', 'The demonstrations are split.', { training: training.length, heldOut: heldOut.length });
  const columns = Math.max(...encoded.map(lengthOf)) - 1;
  const layOut = (batch: typeof encoded): TokenBatch =>
    layOutDemonstrations(batch, { rows: config.batchSize, columns, padId: tokenizer.padId });

  // 3.
  const grid = { rows: config.batchSize, columns };
  const dropout =
    config.dropout > 0
      ? createResidualDropout({ config: model, ...grid, rate: config.dropout, seed, purpose: 'sft/dropout' })
      : undefined;
  const { microbatchSize, activationCheckpointing } = config;
  const step = compileLmStep(engine, { model, ...grid, microbatchSize, activationCheckpointing, dropout });
  const mix =
    config.pretrainingMix &&
    (await openPretrainingMix(engine, { store, policy, mix: config.pretrainingMix, seed, activationCheckpointing }));
  const selection = config.selection && (await openSelection(engine, { context, policy, selection: config.selection }));
  const best = selection && copyParameters(parameters);
  const stepsPerEpoch = Math.ceil(training.length / config.batchSize);
  const steps = stepsPerEpoch * config.epochs;
  const rate = learningRate(config, steps);
  const throughput = createThroughput();
  let bestScore = -Infinity;
  let metrics: Record<string, number> = {};
  for (let epoch = 0; epoch < config.epochs; epoch++) {
    const order = randomStream(seed, 'sft/order', [epoch]).shuffle(training);
    for (const [position, batch] of batchesOf(order, config.batchSize).entries()) {
      await context.checkpoint();
      const index = epoch * stepsPerEpoch + position;
      const { loss, padding } = await step.gradients(learner, layOut(batch), dropout?.masksAt(index));
      const mixed = await mix?.add(learner, index);
      const losses = { loss, ...(mixed && { 'pretraining loss': mixed.loss }) };
      const { gradientNorm } = learner.update({ learningRate: rate(index), losses });

      throughput.add(batch.reduce((sum, example) => sum + lengthOf(example), 0) + (mixed?.tokens ?? 0));
      context.metrics(index, {
        'loss/completion': loss,
        ...(mixed && { 'loss/pretraining': mixed.loss, 'pretraining/gradient_ratio': mixed.gradientRatio }),
        'train/gradient_norm': gradientNorm,
        'train/learning_rate': rate(index),
        'train/padding': padding,
      });
      context.progress({
        fraction: (index + 1) / steps,
        phase: 'training',
        step: index + 1,
        steps,
        tokensPerSecond: throughput.lap(),
        headline: { name: 'loss', value: loss },
      });
    }

    // 4.
    const heldOutLoss =
      heldOut.length === 0
        ? undefined
        : await step.meanLoss(parameters, batchesOf(heldOut, config.batchSize).map(layOut));
    const answers = await selection?.measure(parameters);
    throughput.add(answers?.tokens ?? 0);
    context.metrics((epoch + 1) * stepsPerEpoch - 1, {
      epoch: epoch + 1,
      ...(heldOutLoss !== undefined && { 'loss/held_out': heldOutLoss }),
      ...(answers && {
        'selection/score': answers.score,
        'selection/response_length': answers.responseLength,
        'selection/eos_fraction': answers.eosFraction,
      }),
    });

    // 5.
    if (answers && answers.score <= bestScore) continue;
    best?.data.set(parameters.data);
    bestScore = answers?.score ?? bestScore;
    metrics = {
      ...(heldOutLoss !== undefined && { heldOutLoss }),
      ...(answers && { selectedEpoch: epoch + 1, selectionScore: answers.score }),
    };
  }

  // 6.
  await publishCheckpoint(context, { ...policy, parameters: best ?? parameters, kind: 'policy', metrics });
  return { metrics, tokens: throughput.tokens };
};

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
