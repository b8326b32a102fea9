/**
 * Pretraining: a tokenizer and a GPT-2 transformer from scratch, on raw text.
 *
 *  1. train a byte-level BPE on the corpus,
 *  2. pack the documents, EOS between them, into rows of the context length; keep some documents out,
 *  3. initialise the transformer (GPT-2 §2.3),
 *  4. AdamW with warm-up, cosine and clipping; the held-out perplexity now and then,
 *  5. publish.
 *
 * Leaves out: dropout, and resuming a killed run from its last step.
 */
import { cosineDecay, warmUp } from '@pavlov/algorithms';
import { type PretrainingConfig } from '@pavlov/contracts';
import { packDocuments, splitHeldOut } from '@pavlov/datasets';
import { initParameters, type TransformerConfig } from '@pavlov/model';
import { type Train } from '@pavlov/service-kit';
import { loadTokenizer, trainByteLevelBpe } from '@pavlov/tokenizer';
import {
  compileLmStep,
  createLearner,
  createThroughput,
  openEngine,
  publishCheckpoint,
  readRows,
} from '@pavlov/training';

export const train: Train<'pretraining'> = async (context) => {
  const { config, seed, store } = context;
  using engine = await openEngine({ threads: context.threads, precision: config.precision });

  // 1.
  const documents = (await readRows(store, { id: config.dataset, kind: 'text' })).map((row) => row.text);
  const files = trainByteLevelBpe(documents, config.tokenizer);
  const tokenizer = loadTokenizer(files);
  context.log('info', 'The tokenizer is trained.', { vocabSize: tokenizer.vocabSize });

  // 2.
  const model: TransformerConfig = { vocabSize: tokenizer.vocabSize, padId: tokenizer.padId, ...config.model };
  const packing = { tokenizer, columns: model.contextLength, seed };
  const split = splitHeldOut(documents, { fraction: config.heldOutFraction, seed, purpose: 'packing/held-out' });
  const training = packDocuments(split.training, packing);
  const heldOut = packDocuments(split.heldOut, packing);
  context.log('info', 'The corpus is packed.', {
    documents: documents.length,
    tokens: training.tokens,
    heldOutTokens: heldOut.tokens,
  });

  // 3.
  const parameters = initParameters(model, 'lm', seed);
  const learner = createLearner(parameters, config);

  // 4.
  const step = compileLmStep(engine, {
    model,
    rows: config.batchSize,
    columns: model.contextLength,
    microbatchSize: config.microbatchSize,
    activationCheckpointing: config.activationCheckpointing,
  });
  const rate = learningRate(config);
  const throughput = createThroughput();
  const measure = async (): Promise<number | undefined> =>
    heldOut.rows === 0 ? undefined : step.meanLoss(parameters, heldOut.everyBatch(config.batchSize));
  let heldOutLoss: number | undefined;
  for (let index = 0; index < config.steps; index++) {
    await context.checkpoint();
    const { loss } = await step.gradients(learner, training.batchAt(index, config.batchSize));
    const { gradientNorm } = learner.update({ learningRate: rate(index), losses: { loss } });

    throughput.add(config.batchSize * model.contextLength);
    const evaluated = (index + 1) % config.evaluateEvery === 0 || index + 1 === config.steps;
    if (evaluated) heldOutLoss = await measure();
    context.metrics(index, {
      'loss/training': loss,
      'train/gradient_norm': gradientNorm,
      'train/learning_rate': rate(index),
      ...(evaluated && heldOutLoss !== undefined
        ? { 'loss/held_out': heldOutLoss, perplexity: Math.exp(heldOutLoss) }
        : {}),
    });
    context.progress({
      fraction: (index + 1) / config.steps,
      phase: 'training',
      step: index + 1,
      steps: config.steps,
      tokensPerSecond: throughput.lap(),
      headline: { name: 'loss', value: loss },
    });
  }

  // 5.
  const metrics: Record<string, number> =
    heldOutLoss === undefined ? {} : { heldOutLoss, perplexity: Math.exp(heldOutLoss) };
  await publishCheckpoint(context, { kind: 'policy', model, parameters, tokenizerFiles: files, metrics });
  return { metrics, tokens: throughput.tokens };
};

function learningRate(config: PretrainingConfig) {
  const { learningRate: peak, warmupSteps, steps } = config;
  return warmUp({
    steps: warmupSteps,
    then: cosineDecay({ peak, floor: peak * config.finalLearningRateFraction, steps: steps - warmupSteps }),
  });
}
