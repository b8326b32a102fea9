import {
  centreOnDemonstrations,
  cosineDecay,
  normalise,
  scoreMoments,
  warmUp,
  type Normalisation,
  type Schedule,
} from '@pavlov/algorithms';
import { type RewardModelingConfig } from '@pavlov/contracts';
import { initRewardParameters, type RewardScorer } from '@pavlov/model';
import { randomStream } from '@pavlov/random';
import { type TrainerContext } from '@pavlov/service-kit';
import { type Parameters } from '@pavlov/tensor';
import { createLearner, type LoadedCheckpoint, type Throughput } from '@pavlov/training';
import { type Material } from './material';
import { type RankingShape, type RewardNetwork } from './network';
import { measureQuality, type Quality } from './quality';
import { layOutRankings, tokensOf } from './rankings';
import { rescaleReward, standardiseSamples } from './scale';

/** What all members share. */
export interface Workshop {
  readonly context: TrainerContext<'reward-modeling'>;
  readonly policy: LoadedCheckpoint;
  readonly material: Material;
  /** The policy's answers to standardise on; none without `standardise`. */
  readonly samples: readonly number[][];
  readonly shape: RankingShape;
  /** Optimiser steps of one member. */
  readonly steps: number;
  readonly network: RewardNetwork;
  readonly scorer: RewardScorer;
  readonly throughput: Throughput;
}

export interface Member {
  /** Its place in the order of training, from 1. */
  readonly nth: number;
  /** As it is to be published. */
  readonly parameters: Parameters;
  /** Undefined where nothing is held out. */
  readonly quality?: Quality;
  /** Of every held-out answer, as published. */
  readonly heldOutScores: Float32Array;
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * Trains one reward model:
 *
 *  1. the policy's trunk under a fresh head, standardised if asked for,
 *  2. for each batch of prompts, K forward passes per prompt and the loss over all its pairs,
 *  3. held-out pairs, on the scale that the loss has learned: there σ of a margin is a probability,
 *  4. the scale of the published model: demonstrations score 0 on average, or the policy's samples have mean 0 and
 *     variance 1.
 *
 * Members differ in the random streams of the head and of the order of the data, and in nothing else.
 */
export async function trainMember(workshop: Workshop, nth: number): Promise<Member> {
  const { context, policy, material, samples, shape, steps, scorer, throughput } = workshop;
  const { config, seed } = context;
  const { training, heldOut, demonstrations } = material;
  const member = nth - 1;
  const log = (step: number, values: Record<string, number>): void =>
    context.metrics(step, config.seeds === 1 ? values : ofMember(nth, values));

  // 1.
  const parameters = initRewardParameters(policy.parameters, { config: policy.model, seed, member });
  const score = (sequences: readonly number[][]): Promise<Float32Array> => scorer.score({ parameters, sequences });
  const before = samples.length === 0 ? unscaled : standardiseSamples(await score(samples));
  rescaleReward(parameters, before);

  // 2.
  const learner = createLearner(parameters, config);
  const stepsPerEpoch = steps / config.epochs;
  const rate = learningRate(config, steps);
  for (let step = 0; step < steps; step++) {
    await context.checkpoint();
    const epoch = Math.floor(step / stepsPerEpoch);
    const order = randomStream(seed, 'reward/order', [epoch, member]).shuffle(training);
    const batch = order.slice((step % stepsPerEpoch) * config.batchSize).slice(0, config.batchSize);
    const laidOut = layOutRankings(batch, { ...shape, padId: policy.tokenizer.padId });
    const { loss, padding } = await workshop.network.gradients(learner, laidOut);
    const { gradientNorm } = learner.update({ learningRate: rate(step), losses: { 'ranking loss': loss } });

    throughput.add(tokensOf(batch));
    log(step, {
      'loss/ranking': loss,
      'train/gradient_norm': gradientNorm,
      'train/learning_rate': rate(step),
      'train/padding': padding,
    });
    const done = member * steps + step + 1;
    context.progress({
      fraction: done / (config.seeds * steps),
      phase: config.seeds === 1 ? 'training' : `training model ${nth} of ${config.seeds}`,
      step: done,
      steps: config.seeds * steps,
      tokensPerSecond: throughput.lap(),
      headline: { name: 'loss', value: loss },
    });
  }

  // 3.
  const trainedScores = await score(heldOut.flatMap(({ sequences }) => sequences));
  const quality = measureQuality({ scores: trainedScores, rankings: heldOut });

  // 4.
  const after =
    samples.length > 0
      ? standardiseSamples(await score(samples))
      : demonstrations.length > 0
        ? centreOnDemonstrations(await score(demonstrations))
        : unscaled;
  rescaleReward(parameters, after);

  const metrics = {
    ...quality,
    ...(samples.length > 0 && { gainBefore: before.gain, biasBefore: before.bias }),
    gain: after.gain,
    bias: after.bias,
    ...(samples.length > 0 && spreadOf('sample', await score(samples))),
    ...(demonstrations.length > 0 && spreadOf('demonstration', await score(demonstrations))),
  };
  const heldOutScores = normalise({ scores: trainedScores, normalisation: after });
  return { nth, parameters, quality, heldOutScores, metrics };
}

/** Figures of one of several members, under names of its own. */
export function ofMember(nth: number, values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`member${nth}/${name}`, value]));
}

const unscaled: Normalisation = { gain: 1, bias: 0 };

/** Mean and standard deviation of the published rewards of some answers. */
function spreadOf(name: string, scores: Float32Array): Record<string, number> {
  const { mean, variance } = scoreMoments(scores);
  return { [`${name}Mean`]: mean, [`${name}Deviation`]: Math.sqrt(variance) };
}

function learningRate(config: RewardModelingConfig, steps: number): Schedule {
  const { learningRate: peak, warmupSteps } = config;
  const then = cosineDecay({
    peak,
    floor: peak * config.finalLearningRateFraction,
    steps: Math.max(steps - warmupSteps, 1),
  });
  return warmUp({ steps: warmupSteps, then });
}
