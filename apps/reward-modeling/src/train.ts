/**
 * Reward model from rankings (InstructGPT §3.5 and appendix C.2), of several the best one or all as an ensemble.
 *
 *  1. load the SFT policy; encode the rankings of all rounds and hold some prompts out, with all their answers,
 *  2. where rewards are to be standardised, sample answers of the policy,
 *  3. compile the training step and the scorer, once for all models,
 *  4. train the models one after the other (`trainMember`); keep all of them, or the best so far,
 *  5. measure the labels, and the ensemble,
 *  6. publish.
 *
 * Leaves out: mixing a language-model loss in, and members on different parts of the data.
 */
import { createRewardScorer, transformerLayout } from '@pavlov/model';
import { type Train } from '@pavlov/service-kit';
import { createThroughput, loadCheckpoint, openEngine, publishCheckpoint } from '@pavlov/training';
import { readMaterial } from './material';
import { ofMember, trainMember, type Member } from './member';
import { compileReward } from './network';
import { isBetter, measureEnsemble, measureLabels } from './quality';
import { sampleAnswers } from './scale';

export const train: Train<'reward-modeling'> = async (context) => {
  const { config, store } = context;
  using engine = await openEngine({ threads: context.threads, precision: config.precision });

  // 1.
  const policy = await loadCheckpoint(store, { id: config.policy, head: 'lm' });
  const material = await readMaterial(context, policy);
  const { rankings, heldOut, demonstrations } = material;

  // 2.
  const prompts = rankings.map(({ prompt }) => prompt);
  const samples = await sampleAnswers(context, { engine, policy, prompts });

  // 3.
  const ranked = rankings.flatMap(({ sequences }) => sequences);
  const answers = longest(rankings.map(({ sequences }) => sequences));
  const shape = { prompts: config.batchSize, answers, columns: longest(ranked) };
  const layout = transformerLayout(policy.model, 'scalar');
  const network = compileReward(engine, {
    model: policy.model,
    layout,
    shape,
    microbatchSize: config.microbatchSize,
    activationCheckpointing: config.activationCheckpointing,
  });
  const scorer = await createRewardScorer(engine, {
    config: policy.model,
    batch: config.batchSize * answers,
    length: longest([...ranked, ...demonstrations, ...samples]),
  });

  // 4.
  const throughput = createThroughput();
  const steps = Math.ceil(material.training.length / config.batchSize) * config.epochs;
  const workshop = { context, policy, material, samples, shape, steps, network, scorer, throughput };
  const several = config.seeds > 1;
  const figures: Record<string, number> = {};
  let kept: Member[] = [];
  for (let nth = 1; nth <= config.seeds; nth++) {
    const member = await trainMember(workshop, nth);
    if (several) {
      const own = ofMember(nth, member.metrics);
      context.metrics(steps, own);
      Object.assign(figures, own);
    }
    kept = config.keep === 'ensemble' ? [...kept, member] : [bestOf([...kept, member])];
  }

  // 5.
  const best = bestOf(kept);
  const members = [best, ...kept.filter((member) => member !== best)];
  const quality = members.length === 1 ? best.metrics : measureEnsemble({ members, rankings: heldOut });
  const summary = { ...quality, ...measureLabels(material), ...(several && { bestMember: best.nth }) };
  context.metrics(steps, summary);
  if (several) {
    const published = config.keep === 'best' ? 'is published' : 'stands first in the ensemble';
    context.log(
      'info',
      `Model ${best.nth} of ${config.seeds} is right on most held-out pairs and ${published}.`,
      figures,
    );
  }

  // 6.
  const metrics = { ...summary, ...figures };
  const weights = members.map(({ parameters }) => parameters);
  await publishCheckpoint(context, {
    ...policy,
    kind: 'reward-model',
    parameters: weights[0],
    members: weights,
    metrics,
  });
  return { metrics, tokens: throughput.tokens };
};

/** The member that is right on most held-out pairs; of equals the one with the lowest loss, then the first. */
function bestOf(members: readonly Member[]): Member {
  return members.reduce((best, member) =>
    best.quality && member.quality && isBetter(member.quality, best.quality) ? member : best,
  );
}

const longest = (lists: readonly (readonly unknown[])[]): number =>
  lists.reduce((length, list) => Math.max(length, list.length), 0);
